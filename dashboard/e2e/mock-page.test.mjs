// The page against the mock, in a real Chromium: how it looks, what it says, what it lets you do.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { becomes, drawn, frames, launch, LOOKS, open, picture, tellFirstPaints, until, untilSentence, violations } from './browser.mjs';
import { focused, playing, seen, untilFocused } from './mocked.mjs';

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser.close());

describe('every look', () => {
  for (const { scheme, device } of LOOKS) {
    for (const [scenario, path, wanted] of [
      ['storied', '', /Serving from primary/],
      ['storied', '#/incident/api-2', /Serving from primary/],
      ['several', '#/pool/search', /ams-2 is down: connection refused/],
      ['dark', '', /Nothing can serve/],
      ['calm', '', /0 lost requests/],
    ]) {
      test(`${scenario}${path} is accessible, fits and is quiet: ${scheme}, ${device}`, () =>
        playing(scenario, async (url) => {
          const { page, complaints, close } = await open(browser, url, { scheme, device, path: `/${path}` });
          await untilSentence(page, wanted);
          await drawn(page);
          await seen(page, complaints, `${scenario}${path.replace(/[#/]+/g, '-')}-${scheme}-${device}`);
          assert.deepEqual(complaints, []);
          await close();
        }));
    }
  }
});

test('the verdict is painted soon after the page is asked for, which is measured', () =>
  playing('storied', (url) => tellFirstPaints(browser, url)));

describe('a failover', () => {
  test('is asked for, seen, recorded and recovered from', () =>
    playing('calm', async (url, play) => {
      // Not before this has seen it: a machine that is busy takes its time.
      Object.assign(play.pools[0], { restartAfter: 15_000, failbackAfter: 600_000 });
      const { page, complaints, close } = await open(browser, url);
      await untilSentence(page, /^Serving from primary since .* 0 lost requests in the last minute\.$/);
      await page.waitForFunction(() => document.title.startsWith('Serving · primary'));
      await page.getByText('No failovers since start').waitFor();

      await page.getByRole('button', { name: 'Fail primary' }).click();
      const dialog = page.getByRole('dialog');
      await dialog.waitFor();
      await untilFocused(page, /^Cancel$/);
      await dialog.getByText('Traffic of api moves to secondary (tier 1).').waitFor();
      assert.deepEqual(await violations(page), []);
      await page.screenshot({ path: 'test-results/dialog-light-desk.png' });
      await dialog.getByRole('button', { name: 'Fail primary' }).click();

      await untilSentence(page, /^Serving from secondary since \d\d:\d\d:\d\d; primary is down: connection refused\. 0 lost requests, 5 rescued/);
      await page.waitForFunction(() => document.title.startsWith('Failed over · secondary'));
      assert.match((await page.locator('link[rel=icon]').getAttribute('href')) ?? '', /favicon-moved/);
      assert.deepEqual(play.posts, [{ path: '/proxy/fail', body: { pool: 'api', backend: 'primary', mode: 'crash' } }]);
      const incident = page.locator('[data-incident="api-1"]');
      await incident.getByText('13 ms').waitFor();
      await becomes(() => incident.textContent(), /Suspected.*to detect.*Decided.*0\.4.ms to switch.*Serving/);
      await picture(page, 'during-light-desk');
      assert.deepEqual(await violations(page), []);

      await page.getByTestId('failback').waitFor();
      play.pools[0].failbackAt = Date.now();
      await incident.locator('.step-3.done').waitFor();
      await untilSentence(page, /^Serving from primary/);
      await incident.getByRole('link', { name: 'api-1' }).click();
      await page.getByRole('heading', { name: 'Incident api-1' }).waitFor();
      await page.getByText('connection refused').first().waitFor();
      const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Export JSON' }).click()]);
      assert.equal(download.suggestedFilename(), 'api-1.json');
      const record = JSON.parse(await readFile(await download.path(), 'utf8'));
      assert.equal(record.incident.backend, 'primary');
      assert.ok(record.series.requests.length > 30 && record.log.length > 0);
      assert.deepEqual(complaints, []);
      await close();
    }));

  test('by another fault shows its countdown and ends on Recover', () =>
    playing('calm', async (url, play) => {
      const { page, close } = await open(browser, url, { scheme: 'dark' });
      await page.getByRole('button', { name: 'Fail primary' }).click();
      await page.getByRole('radio', { name: /Hang/ }).check();
      await page.getByRole('combobox', { name: 'For' }).selectOption('2m');
      await page.getByRole('combobox', { name: 'Scope' }).selectOption('traffic');
      await page.getByRole('combobox', { name: 'Percent' }).selectOption('50');
      await page.getByRole('dialog').getByText('If that takes primary out, traffic of api moves').waitFor();
      await page.screenshot({ path: 'test-results/dialog-dark-desk.png' });
      await page.getByRole('dialog').getByRole('button', { name: 'Fail primary' }).click();
      const fault = page.locator('[data-backend=primary]').getByTestId('fault');
      await fault.waitFor();
      assert.match((await fault.textContent()) ?? '', /Injected fault: hang, traffic only, 50.%, ends in [12].m/);
      assert.deepEqual(play.posts[0]?.body, { pool: 'api', backend: 'primary', mode: 'hang', for: '2m', scope: 'traffic', percent: 50 });
      await page.getByRole('button', { name: 'Recover primary' }).click();
      await fault.waitFor({ state: 'detached' });
      await page.getByTestId('failback').waitFor();
      await close();
    }));

  test('that the proxy refuses is explained', () =>
    playing('calm', async (url, play) => {
      const { page, close } = await open(browser, url);
      await page.getByRole('button', { name: 'Fail primary' }).click();
      Object.assign(play.pools[0].find('primary'), { state: 'down', reason: 'connection refused' });
      await page.getByRole('dialog').getByRole('button', { name: 'Fail primary' }).click();
      await page.getByText('primary does not answer.').waitFor();
      await page.getByText('To fix: wait until it is up, or start it.').waitFor();
      await close();
    }));

  test('cannot be asked for where fault injection is off, and the page says why', () =>
    playing('calm', async (url, play) => {
      play.faultInjection = false;
      const { page, close } = await open(browser, url);
      const fail = page.getByRole('button', { name: 'Fail primary' });
      await page.getByText('fault injection is off; set admin.fault_injection: true').first().waitFor();
      assert.equal(await fail.getAttribute('aria-disabled'), 'true');
      await fail.click({ force: true });
      await frames(page, 5);
      assert.equal(await page.getByRole('dialog').count(), 0);
      await close();
    }));
});

describe('keyboard', () => {
  test('reaches the dialog, Escape leaves it, and focus returns', () =>
    playing('calm', async (url, play) => {
      const { page, close } = await open(browser, url);
      await untilSentence(page, /Serving/);
      await page.keyboard.press('Tab');
      await untilFocused(page, /^Skip to the pool$/);
      await page.keyboard.press('Enter');
      for (let steps = 0; (await focused(page)) !== 'Fail primary' && steps < 6; steps += 1) await page.keyboard.press('Tab');
      await untilFocused(page, /^Fail primary$/);
      await page.keyboard.press('Enter');
      await page.getByRole('dialog').waitFor();
      await page.keyboard.press('Escape');
      await page.getByRole('dialog').waitFor({ state: 'detached' });
      await untilFocused(page, /^Fail primary$/);
      assert.deepEqual(play.posts, []);
      await close();
    }));

  test('chooses the theme, which is kept', () =>
    playing('calm', async (url) => {
      const { page, close } = await open(browser, url, { scheme: 'light' });
      const background = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
      const light = await background();
      await page.getByRole('radio', { name: 'Dark' }).check({ force: true });
      const dark = await background();
      await page.reload();
      await untilSentence(page, /Serving/);
      assert.equal(await background(), dark);
      assert.notEqual(dark, light);
      await close();
    }));
});

describe('charts', () => {
  for (const scheme of ['light', 'dark']) {
    test(`axes are legible on the canvas, and after a change of theme: ${scheme} first`, () =>
      playing('storied', async (url) => {
        const { page, close } = await open(browser, url, { scheme });
        await page.locator('#chart-latency canvas').waitFor();
        await until(() => inkContrast(page), (it) => it >= 4.5, 'contrast');
        await page.emulateMedia({ colorScheme: scheme === 'light' ? 'dark' : 'light' });
        await until(() => inkContrast(page), (it) => it >= 4.5, 'contrast after the change');
        await close();
      }));
  }

  test('have a table behind them', () =>
    playing('storied', async (url) => {
      const { page, close } = await open(browser, url);
      await page.getByText('Table of Latency').click();
      await page.getByRole('region', { name: /Latency by 10\ss/ }).waitFor();
      assert.ok((await page.locator('.chart-table tbody tr').count()) >= 30);
      assert.deepEqual(await violations(page), []);
      await close();
    }));
});

/** The strongest contrast between the panel and any pixel where the left axis writes its numbers. */
function inkContrast(page) {
  return page.evaluate(() => {
    const canvas = document.querySelector('#chart-latency canvas');
    const panel = getComputedStyle(document.querySelector('.stack')).backgroundColor.match(/\d+/g).map(Number);
    const { data } = canvas.getContext('2d').getImageData(0, 0, 40 * devicePixelRatio, canvas.height);
    const luminance = (rgb) => {
      const [r, g, b] = rgb.map((it) => (it / 255 <= 0.03928 ? it / 255 / 12.92 : ((it / 255 + 0.055) / 1.055) ** 2.4));
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const base = luminance(panel);
    let best = 1;
    for (let i = 0; i < data.length; i += 4) {
      if (data[i + 3] < 250) continue;
      const own = luminance([data[i], data[i + 1], data[i + 2]]);
      best = Math.max(best, (Math.max(own, base) + 0.05) / (Math.min(own, base) + 0.05));
    }
    return best;
  });
}

test('a chosen pool is in the address and its neighbours in need are named', () =>
  playing('several', async (url) => {
    const { page, close } = await open(browser, url);
    await untilSentence(page, /^Serving from primary/);
    await page.getByRole('link', { name: 'search' }).click();
    await untilSentence(page, /^Serving from ams-1/);
    assert.match(page.url(), /#\/pool\/search$/);
    await page.getByLabel('Pool').first().selectOption('api');
    await untilSentence(page, /^Serving from primary/);
    await close();
  }));
