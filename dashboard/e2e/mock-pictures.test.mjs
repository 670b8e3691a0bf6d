// The pictures in the documentation: that they are there, small, and of the page as it is.
//
// `make pictures` takes them of a real failover (take-pictures.mjs) and has this test write down what the page says to
// the mock. What it says at any other time is held against that, because pixels differ between any two machines.

import assert from 'node:assert/strict';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { drawn, launch, open, untilSentence } from './browser.mjs';
import { playing } from './mocked.mjs';
import { FOLDER, LARGEST_BYTES, PICTURES, SCHEMES } from './take-pictures.mjs';

const WORDS = `${FOLDER}words.json`;
const IS_WRITING = process.env.BASCULE_BLESS === '1';
const recorded = existsSync(WORDS) ? JSON.parse(readFileSync(WORDS, 'utf8')) : {};

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser.close());

/** What the page says, without what changes from run to run: numbers, and lines of the log. */
const wordsOf = (page) =>
  page.evaluate(() => {
    const rows = [...document.querySelectorAll('.log-row')];
    const text = rows.reduce((all, row) => all.replace(row.innerText, ''), document.body.innerText);
    return text.replace(/[^\S\n]+/g, ' ').replace(/[\d.,]+/g, '#').replace(/just now/g, '# s ago').split(/\s*\n\s*/).filter(Boolean);
  });

async function said(path) {
  let words = [];
  await playing('storied', async (url) => {
    const { page, heard, close } = await open(browser, url, { path: `/${path}` });
    await untilSentence(page, /Serving from primary/);
    await drawn(page);
    await heard(2);
    words = await wordsOf(page);
    await close();
  });
  return words;
}

for (const { name, path } of PICTURES) {
  test(`the picture \`${name}\` is there, light and dark, and small`, async (t) => {
    for (const scheme of SCHEMES) {
      const file = `${FOLDER}${name}-${scheme}.webp`;
      assert.ok(existsSync(file), `${file} is missing; run: make pictures`);
      assert.ok(statSync(file).size <= LARGEST_BYTES, `${file} has ${statSync(file).size} bytes`);
    }
    const words = await said(path('api-2'));
    if (IS_WRITING) {
      recorded[name] = words;
      writeFileSync(WORDS, `${JSON.stringify(recorded, null, 1)}\n`);
    }
    const gone = (recorded[name] ?? []).filter((line) => !words.includes(line));
    const fresh = words.filter((line) => !(recorded[name] ?? []).includes(line));
    // No failure: a word more on the page is no reason to stop whoever put it there.
    if (gone.length > 0 || fresh.length > 0) {
      t.diagnostic(`stale, run: make pictures (no longer said: ${JSON.stringify(gone)}; new: ${JSON.stringify(fresh)})`);
    }
  });
}
