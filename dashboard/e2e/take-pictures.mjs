// Takes the pictures of the documentation: of the real page, after a real failover under load. `make pictures` starts
// what it needs. BASCULE_DASHBOARD_URL names the page, as `bascule demo` prints it.

import { mkdirSync, writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { drawn, launch, untilSentence } from './browser.mjs';

export const FOLDER = new URL('../pictures/', import.meta.url).pathname;
/** Of each file: they must not make a clone of the repository heavy. */
export const LARGEST_BYTES = 120_000;
export const SCHEMES = ['light', 'dark'];
export const PICTURES = [
  { name: 'failover', path: () => '', shows: 'canvas', height: 1030 },
  { name: 'incident', path: (incident) => `#/incident/${incident}`, shows: 'h2', height: 1045 },
];

/** Load to be seen before the failover, and after it. */
const BEFORE_MS = 70_000;
const AFTER_MS = 8_000;

async function take(browser, url, incident, { path, shows, height }, colorScheme) {
  const context = await browser.newContext({
    viewport: { width: 1280, height }, colorScheme, reducedMotion: 'reduce', deviceScaleFactor: 1.5,
    timezoneId: 'UTC', locale: 'en-GB',
  });
  const page = await context.newPage();
  await page.goto(`${url}/${path(incident)}`);
  // Not while a busy machine has it suspect somebody.
  await untilSentence(page, /^Serving from \S+ since [^;]+\. 0 lost/, 60_000);
  await page.locator(shows).first().waitFor({ timeout: 60_000 });
  await drawn(page);
  await page.evaluate(() => globalThis.scrollTo(0, 0));
  const session = await context.newCDPSession(page);
  const { data } = await session.send('Page.captureScreenshot', { format: 'webp', quality: 80 });
  await context.close();
  return Buffer.from(data, 'base64');
}

async function main() {
  const url = process.env.BASCULE_DASHBOARD_URL?.replace(/\/+$/, '');
  if (url === undefined) throw new Error('BASCULE_DASHBOARD_URL is not set; run: make pictures');
  const browser = await launch();
  try {
    const page = await browser.newPage();
    await page.goto(url);
    const active = /^Serving from (\S+)/.exec(await untilSentence(page, /^Serving from \S+ since/, 30_000))[1];
    await page.waitForTimeout(BEFORE_MS);
    await page.request.post(`${url}/api/proxy/fail`, { data: { pool: 'api', mode: 'crash' }, headers: { origin: url } });
    await untilSentence(page, new RegExp(`^Serving from (?!${active} )\\S+ since`));
    await untilSentence(page, new RegExp(`^Serving from ${active} since`), 60_000);
    await page.waitForTimeout(AFTER_MS);
    const { incidents } = await (await page.request.get(`${url}/api/incidents`)).json();
    if (incidents[0].requests.lost !== 0) throw new Error(`${incidents[0].id} lost requests: no picture for a documentation`);
    mkdirSync(FOLDER, { recursive: true });
    for (const picture of PICTURES) {
      for (const scheme of SCHEMES) {
        const bytes = await take(browser, url, incidents[0].id, picture, scheme);
        writeFileSync(`${FOLDER}${picture.name}-${scheme}.webp`, bytes);
        console.log(`pictures/${picture.name}-${scheme}.webp: ${bytes.length} bytes`);
      }
    }
  } finally {
    await browser.close();
  }
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) await main();
