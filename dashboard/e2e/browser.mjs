// A real Chromium, and what every browser test needs around it.

import { existsSync, mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { readFile } from 'node:fs/promises';
import { chromium } from 'playwright-core';

const root = new URL('..', import.meta.url).pathname;
export const DIST = `${root}dist`;
export const RESULTS = `${root}test-results`;
const EXECUTABLE = process.env.CHROMIUM ?? '/usr/bin/chromium';

export const FLAGS = [
  '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync',
];

export const DEVICES = { desk: { width: 1280, height: 900 }, phone: { width: 390, height: 844 } };

export async function launch() {
  if (!existsSync(EXECUTABLE)) {
    throw new Error(`no Chromium at ${EXECUTABLE}; install it (apt-get install chromium) or name it in CHROMIUM`);
  }
  mkdirSync(RESULTS, { recursive: true });
  // Without a directory of ours, Playwright makes a fresh profile and removes it afterwards.
  return chromium.launch({ executablePath: EXECUTABLE, headless: true, args: FLAGS });
}

/** Opens a page that remembers what the console complained about. */
export async function open(browser, url, { scheme = 'light', device = 'desk', path = '', reducedMotion = 'reduce' } = {}) {
  const context = await browser.newContext({ viewport: DEVICES[device], colorScheme: scheme, reducedMotion, deviceScaleFactor: 2 });
  const page = await context.newPage();
  const complaints = [];
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(String(error)));
  await page.goto(url + path);
  return { page, context, complaints, close: () => context.close() };
}

const axeSource = createRequire(import.meta.url).resolve('axe-core/axe.min.js');

/** What axe finds against WCAG A and AA, as short lines. */
export async function violations(page) {
  // Through the debugger, because the page's own policy refuses foreign scripts.
  await page.evaluate(await readFile(axeSource, 'utf8'));
  return page.evaluate(async () => {
    const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'];
    const result = await globalThis.axe.run(document, { runOnly: { type: 'tag', values: tags } });
    return result.violations.map((it) => `${it.id}: ${it.nodes.map((node) => `${node.target.join(' ')} ${node.any[0]?.message ?? ''}`).join(' | ')}`);
  });
}

/** Pixels by which the page is wider than its window. */
export function sidewaysScroll(page) {
  return page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
}

export async function sentence(page) {
  return (await page.locator('#verdict').textContent()) ?? '';
}

/** Waits until the verdict reads as wanted; the error says what it read instead. */
export async function untilSentence(page, wanted, timeout = 10_000) {
  const end = Date.now() + timeout;
  for (;;) {
    const said = await sentence(page);
    if (wanted.test(said)) return said;
    if (Date.now() > end) throw new Error(`the verdict still reads ${JSON.stringify(said)}, wanted ${wanted}`);
    await page.waitForTimeout(50);
  }
}

export async function picture(page, name) {
  await page.screenshot({ path: `${RESULTS}/${name}.png`, fullPage: true });
}

/**
 * A task that keeps the page's thread busy for longer is too long, in ms of processor time. People notice 100, which
 * is what BASCULE_TASK_MS=100 asks for on a machine that has nothing else to do; shared cores stretch even that time.
 */
export const TASK_MS = Number(process.env.BASCULE_TASK_MS ?? 250);

/**
 * Runs something and tells how long the page's longest task kept its thread busy, in ms of processor time, which
 * a machine with other things to do does not stretch; and how long that took on the clock.
 */
export async function longestTask(browser, page, run) {
  await browser.startTracing(page, { categories: ['toplevel', '__metadata'] });
  await run();
  const { traceEvents } = JSON.parse((await browser.stopTracing()).toString());
  const thread = ({ pid, tid }) => `${pid}/${tid}`;
  const main = new Set(traceEvents.filter((it) => it.name === 'thread_name' && it.args.name === 'CrRendererMain').map(thread));
  const tasks = traceEvents.filter((it) => it.name.endsWith('RunTask') && main.has(thread(it)));
  if (tasks.length === 0) throw new Error('the browser traced no task');
  const longest = tasks.reduce((a, b) => ((b.tdur ?? 0) > (a.tdur ?? 0) ? b : a));
  return { longest: longest.tdur / 1000, clock: Math.max(...tasks.map((it) => it.dur ?? 0)) / 1000, tasks: tasks.length };
}
