// A real Chromium, and what every browser test needs around it.

import { existsSync, mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { readFile } from 'node:fs/promises';
import { isDeepStrictEqual } from 'node:util';
import { chromium } from 'playwright-core';

const root = new URL('..', import.meta.url).pathname;
export const DIST = `${root}dist`;
export const RESULTS = `${root}test-results`;
const EXECUTABLE = process.env.CHROMIUM ?? '/usr/bin/chromium';

export const FLAGS = [
  '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync',
];

const DEVICES = { desk: { width: 1280, height: 900 }, phone: { width: 390, height: 844 } };
export const LOOKS = ['light', 'dark'].flatMap((scheme) => Object.keys(DEVICES).map((device) => ({ scheme, device })));

export async function launch() {
  if (!existsSync(EXECUTABLE)) {
    throw new Error(`no Chromium at ${EXECUTABLE}; install it (apt-get install chromium) or name it in CHROMIUM`);
  }
  mkdirSync(RESULTS, { recursive: true });
  // Without a directory of ours, Playwright makes a fresh profile and removes it afterwards.
  return chromium.launch({ executablePath: EXECUTABLE, headless: true, args: FLAGS });
}

/**
 * Opens a page that remembers what the console complained about. `heard(n)` waits until the feed has told it `n` times
 * more how things are, which takes as long as it takes.
 */
export async function open(browser, url, { scheme = 'light', device = 'desk', path = '', reducedMotion = 'reduce' } = {}) {
  const context = await browser.newContext({ viewport: DEVICES[device], colorScheme: scheme, reducedMotion, deviceScaleFactor: 2 });
  const page = await context.newPage();
  const complaints = [];
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(String(error)));
  let told = 0;
  page.on('websocket', (socket) => {
    if (new URL(socket.url()).pathname !== '/api/feed') return;
    socket.on('framereceived', ({ payload }) => (told += /"type":"(snapshot|change)"/.test(payload) ? 1 : 0));
  });
  const heard = async (times) => {
    const wanted = told + times;
    await until(() => told, (it) => it >= wanted, 'the feed has spoken');
    await frames(page, 2);
  };
  await page.goto(url + path);
  return { page, context, complaints, heard, close: () => context.close() };
}

/**
 * Loads the page afresh five times, with nothing cached, and tells after how long it was painted: anything at all, any
 * content, and the verdict, which is the first that is of use. Half a second is the aim on loopback. What else the
 * machine does is in it, so it is told, and fails nothing.
 */
export async function tellFirstPaints(browser, url) {
  const all = [];
  for (let i = 0; i < 5; i += 1) all.push(await firstPaints(browser, url));
  const said = ['first-paint', 'first-contentful-paint', 'verdict'].map((name) => {
    const times = all.map((it) => it[name]).sort((a, b) => a - b);
    if (!(times[0] > 0)) throw new Error(`${name}: ${times}`);
    return `${name} ${times[2].toFixed(0)} ms (${times[0].toFixed(0)} to ${times[4].toFixed(0)})`;
  });
  console.log(`# painted after, median of 5: ${said.join(', ')}`);
}

/** In ms since the navigation began. */
async function firstPaints(browser, url) {
  const context = await browser.newContext({ viewport: DEVICES.desk });
  const page = await context.newPage();
  await page.addInitScript(() => {
    globalThis.paints = {};
    new PerformanceObserver((list) => {
      for (const { name, startTime } of list.getEntries()) globalThis.paints[name] = startTime;
    }).observe({ type: 'paint', buffered: true });
    const verdict = new MutationObserver(() => {
      if (!/^Serving from/.test(document.querySelector('#verdict')?.textContent ?? '')) return;
      verdict.disconnect();
      // The second frame begins when the first has been painted.
      requestAnimationFrame(() => requestAnimationFrame((at) => (globalThis.paints.verdict = at)));
    });
    verdict.observe(document, { childList: true, subtree: true, characterData: true });
  });
  await page.goto(url);
  const paints = await page.waitForFunction(() => Object.keys(globalThis.paints).length === 3 && globalThis.paints);
  const found = await paints.jsonValue();
  await context.close();
  return found;
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

async function sentence(page) {
  return (await page.locator('#verdict').textContent()) ?? '';
}

/** Asks again and again until the answer is as wanted; the error says what it was instead. */
export async function until(ask, isWanted, what, timeout = 30_000) {
  const end = Date.now() + timeout;
  for (;;) {
    const answer = await ask();
    if (isWanted(answer)) return answer;
    if (Date.now() > end) throw new Error(`${what}: still ${JSON.stringify(answer)}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Waits until the answer is, or matches, what is wanted: a page draws what a press has changed some frames later. */
export function becomes(ask, wanted) {
  const isIt = (it) => (wanted instanceof RegExp ? wanted.test(it ?? '') : isDeepStrictEqual(it, wanted));
  return until(ask, isIt, `wanted ${wanted instanceof RegExp ? wanted : JSON.stringify(wanted)}`);
}

/** Waits until the verdict reads as wanted. */
export function untilSentence(page, wanted, timeout = 30_000) {
  return until(() => sentence(page), (it) => wanted.test(it), `the verdict is to read ${wanted}`, timeout);
}

/** Lets the page draw so many frames: enough for what was to happen at once, where a test says that it does not. */
export function frames(page, count) {
  return page.evaluate(async (many) => {
    for (let i = 0; i < many; i += 1) await new Promise((resolve) => requestAnimationFrame(resolve));
  }, count);
}

/** Waits until every chart of the page shows something. */
export async function drawn(page) {
  await page.locator('canvas').first().waitFor();
  await page.waitForFunction(() => {
    // On a copy: to read a canvas again and again makes the browser complain.
    const copy = new OffscreenCanvas(60, 60).getContext('2d', { willReadFrequently: true });
    return [...document.querySelectorAll('canvas')].every((it) => {
      if (it.width === 0) return false;
      copy.clearRect(0, 0, 60, 60);
      copy.drawImage(it, 0, 0, 60, 60);
      return copy.getImageData(0, 0, 60, 60).data.some((one) => one > 0);
    });
  });
  await frames(page, 2);
}

export async function picture(page, name) {
  await page.screenshot({ path: `${RESULTS}/${name}.png`, fullPage: true });
}

/**
 * People notice 100 ms. A bound as low fails only where somebody asks for it with BASCULE_TASK_MS=100, on a machine that
 * has nothing else to do: two programs that share a core, or a browser that has just been started, stretch the same
 * work to two or three times as much processor time, and a test that fails with the weather is soon not looked at.
 */
const TASK_MS = Number(process.env.BASCULE_TASK_MS ?? 750);

/** Says how long the longest task was, and fails if it was too long. */
export function checkTask(what, { longest, clock, tasks }) {
  console.log(`# ${what}: longest of ${tasks} tasks ${longest.toFixed(0)} ms of processor, ${clock.toFixed(0)} ms on the clock`);
  if (!(longest < TASK_MS)) throw new Error(`${what}: a task of ${longest} ms, at most ${TASK_MS} are good`);
}

/**
 * Runs something and tells how long the page's longest task kept its thread busy, in ms of processor time, which
 * a machine with other things to do stretches less than the clock; and how long that took on the clock.
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
