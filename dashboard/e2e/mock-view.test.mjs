// What is looked at: many backends, the time axis, what operators did, and keys.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { becomes, checkTask, drawn, frames, launch, longestTask, LOOKS, open, picture, until, untilSentence, violations } from './browser.mjs';
import { playing, seen } from './mocked.mjs';

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser.close());

describe('every look', () => {
  for (const { scheme, device } of LOOKS) {
    for (const [scenario, path, wanted] of [
      ['wide', '', /ams-007 is down: connection refused/],
      ['wide', '#/?only=trouble&sort=health', /ams-007 is down/],
      ['day', '#/?range=24h', /Serving from primary/],
      ['operated', '', /held on tier 1 by an operator; ams-1 is drained; fra-2 is disabled by an operator/],
      ['open', '', /No backend is eligible since .* requests are sent to any of them all the same/],
      ['leaving', '', /Serving from primary/],
    ]) {
      test(`${scenario}${path} is accessible, fits and is quiet: ${scheme}, ${device}`, () =>
        playing(scenario, async (url) => {
          const { page, complaints, close } = await open(browser, url, { scheme, device, path: `/${path}` });
          await untilSentence(page, wanted);
          await drawn(page);
          await seen(page, complaints, `${scenario}${path.replace(/[#/?=&]+/g, '-')}-${scheme}-${device}`);
          assert.deepEqual(complaints, []);
          await close();
        }));
    }
  }
});

describe('200 backends', () => {
  const names = (page) => page.locator('.row .row-name').allTextContents();

  test('are a table that sorts and filters, and keeps both in the address', () =>
    playing('wide', async (url) => {
      const { page, close } = await open(browser, url);
      await page.locator('.row').first().waitFor();
      await becomes(async () => (await names(page)).length, 200);
      assert.equal(await page.locator('.row-tier').count(), 3);
      await page.getByText('Tier 0: 115 of 120 eligible').waitFor();
      await page.getByRole('columnheader', { name: 'Health' }).getByRole('button').click();
      await page.locator('.col-health[aria-sort=ascending]').waitFor();
      await becomes(async () => (await names(page)).slice(0, 3), ['ams-007', 'ams-031', 'fra-150']);
      await page.getByRole('radio', { name: 'In trouble' }).check({ force: true });
      await becomes(async () => (await names(page)).length, 7);
      await page.getByPlaceholder('Find by name').fill('draining');
      await becomes(() => names(page), ['ams-040']);
      assert.match(page.url(), /sort=health&only=trouble&find=draining/);
      await page.reload();
      await page.locator('.row').first().waitFor();
      await becomes(() => names(page), ['ams-040']);
      const row = page.locator('[data-backend=ams-040]').first();
      assert.match((await row.textContent()) ?? '', /Up.*Drained/);
      await row.getByRole('button').click();
      await page.getByRole('article', { name: 'Backend ams-040' }).waitFor();
      assert.deepEqual(await violations(page), []);
      await close();
    }));

  test('are drawn each second without a long task', () =>
    playing('wide', async (url) => {
      const { page, complaints, heard, close } = await open(browser, url);
      await page.locator('.row').first().waitFor();
      await heard(1);
      checkTask('200 backends, 8 updates', await longestTask(browser, page, () => heard(8)));
      assert.deepEqual(complaints, []);
      await close();
    }));
});

describe('the time axis', () => {
  test('is chosen by keyboard, kept in the address, and leads to an incident', () =>
    playing('day', async (url) => {
      const { page, complaints, close } = await open(browser, url);
      await page.getByRole('radio', { name: '15 minutes' }).focus();
      await page.keyboard.press('ArrowRight');
      await page.keyboard.press('ArrowRight');
      assert.match(page.url(), /range=24h/);
      await page.locator('.cluster').nth(20).waitFor();
      await becomes(() => page.locator('[data-lane=primary] svg').getAttribute('aria-label'), /primary: served .* out of service 4\d times for .* the proxy did not run for 20.m/);
      await becomes(() => page.getByRole('img', { name: /Latency of requests/ }).getAttribute('aria-label'), /highest p99 1\.2\ss/);
      // Two at once are looked at closer, one is a link.
      await page.locator('button.cluster').nth(3).click();
      assert.match(page.url(), /from=\d+&to=\d+/);
      const mark = page.locator('a.cluster').first();
      await mark.waitFor();
      const id = await mark.getAttribute('data-mark');
      await mark.focus();
      await page.keyboard.press('Enter');
      await page.getByRole('heading', { name: `Incident ${id}` }).waitFor();
      assert.deepEqual(complaints, []);
      await close();
    }));

  test('is looked at closer by the brush, and shown whole again', () =>
    playing('storied', async (url) => {
      const { page, close } = await open(browser, url);
      const box = await page.locator('#chart-latency .u-over').boundingBox();
      await page.mouse.move(box.x + box.width * 0.5, box.y + 20);
      await page.mouse.down();
      await page.mouse.move(box.x + box.width * 0.9, box.y + 30, { steps: 5 });
      await page.mouse.up();
      const whole = page.getByRole('button', { name: /show all/ });
      await whole.waitFor();
      assert.match(page.url(), /from=\d+&to=\d+/);
      await page.locator('#chart-latency canvas').waitFor();
      await picture(page, 'zoomed-light-desk');
      await whole.click();
      assert.doesNotMatch(page.url(), /from=/);
      await close();
    }));

  test('has one cursor for all charts, moved by pointer or by keys', () =>
    playing('storied', async (url) => {
      const { page, close } = await open(browser, url);
      const box = await page.locator('#chart-errors .u-over').boundingBox();
      await page.mouse.move(box.x + box.width * 0.4, box.y + 20);
      const time = page.locator('.cursor-time');
      await time.waitFor();
      const lefts = () => page.evaluate(() => [...document.querySelectorAll('.chart .u-cursor-x')].map((it) => Math.round(new DOMMatrix(getComputedStyle(it).transform).m41)));
      await until(lefts, ([first, ...others]) => first > 50 && others.length === 2 && others.every((it) => Math.abs(it - first) <= 1), 'one cursor');
      const before = await time.textContent();
      await page.getByRole('slider', { name: 'Cursor on the time axis' }).focus();
      await page.keyboard.press('ArrowLeft');
      await page.keyboard.press('ArrowLeft');
      await until(() => time.textContent(), (it) => it !== before, 'the cursor has moved');
      await close();
    }));

  test('24 hours are drawn without a long task', () =>
    playing('day', async (url) => {
      const { page, heard, close } = await open(browser, url);
      await drawn(page);
      const task = await longestTask(browser, page, async () => {
        await page.getByRole('radio', { name: '24 hours' }).check({ force: true });
        await page.locator('.cluster').nth(20).waitFor();
        await heard(4);
      });
      checkTask('24 hours', task);
      await close();
    }));
});

describe('an incident', () => {
  test('tells its story, its neighbours, and that it was before a restart', () =>
    playing('day', async (url) => {
      const { page, complaints, close } = await open(browser, url, { path: '/#/incident/api-33' });
      await page.getByRole('heading', { name: 'Incident api-33' }).waitFor();
      for (const name of ['Suspected', 'Decided', 'Serving', 'Recovered']) await page.locator('.moment-name', { hasText: name }).waitFor();
      await page.getByText('Lost').first().waitFor();
      assert.match((await page.locator('.cost').textContent()) ?? '', /Rescued by retry\s*31.*Rescued by hedge\s*0.*Lost\s*214/);
      assert.equal(await page.getByTestId('before-restart').count(), 1);
      await page.locator('#chart-errors canvas').waitFor();
      await page.getByText('Log of that time').waitFor();
      await picture(page, 'incident-lost-light-desk');
      await page.getByRole('link', { name: /Next: api-34/ }).click();
      await page.getByRole('heading', { name: 'Incident api-34' }).waitFor();
      await page.keyboard.press('[');
      await page.getByRole('heading', { name: 'Incident api-33' }).waitFor();
      assert.deepEqual(complaints, []);
      await close();
    }));

  test('says of the last before a restart that it was cut short', () =>
    playing('day', async (url, play) => {
      const { number } = play.pools[0].incidents.find((it) => it.interrupted);
      const { page, complaints, close } = await open(browser, url, { path: `/#/incident/api-${number}` });
      await page.getByTestId('interrupted').getByText('cut short: the proxy ended before it was over').waitFor();
      assert.equal(await page.getByTestId('before-restart').count(), 0);
      assert.deepEqual(complaints, []);
      await close();
    }));
});

describe('colours', () => {
  for (const scheme of ['light', 'dark']) {
    test(`of lines, bands and gaps stand out on the canvas: ${scheme}`, () =>
      playing('day', async (url) => {
        const { page, close } = await open(browser, url, { scheme, path: '/#/?range=24h' });
        await page.locator('.cluster').nth(20).waitFor();
        await drawn(page);
        for (const [chart, variable] of [['latency', '--series-p99'], ['latency', '--series-p50'], ['errors', '--series-rescued'], ['errors', '--series-lost'], ['backends', '--series-1'], ['backends', '--chart-band-edge']]) {
          const { contrast } = await until(() => drawnIn(page, `#chart-${chart}`, variable), ({ pixels }) => pixels > 10, `${variable} in ${chart}`);
          assert.ok(contrast >= 3, `${variable}: contrast ${contrast.toFixed(2)}`);
        }
        await until(() => drawnIn(page, '#chart-latency', '--chart-gap'), ({ pixels }) => pixels > 10, 'the gap is hatched');
        await close();
      }));
  }
});

/** How many pixels of a chart have a colour, and its contrast with the panel. */
function drawnIn(page, chart, variable) {
  return page.evaluate(
    ([selector, name]) => {
      const swatch = document.createElement('i');
      swatch.style.color = `var(${name})`;
      document.body.append(swatch);
      const rgb = (text) => text.match(/[\d.]+/g).slice(0, 3).map(Number);
      const wanted = rgb(getComputedStyle(swatch).color);
      swatch.remove();
      const panel = rgb(getComputedStyle(document.querySelector('.stack')).backgroundColor);
      const canvas = document.querySelector(`${selector} canvas`);
      const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
      let pixels = 0;
      for (let i = 0; i < data.length; i += 4) {
        if (data[i + 3] > 200 && [0, 1, 2].every((it) => Math.abs(data[i + it] - wanted[it]) <= 6)) pixels += 1;
      }
      const luminance = (it) => it.map((one) => (one / 255 <= 0.03928 ? one / 255 / 12.92 : ((one / 255 + 0.055) / 1.055) ** 2.4)).reduce((sum, one, index) => sum + one * [0.2126, 0.7152, 0.0722][index], 0);
      const [a, b] = [luminance(wanted), luminance(panel)].sort((x, y) => y - x);
      return { pixels, contrast: (a + 0.05) / (b + 0.05) };
    },
    [chart, variable],
  );
}

describe('keys', () => {
  test('are listed, walk the backends, go to screens, and can be turned off', () =>
    playing('operated', async (url) => {
      const { page, close } = await open(browser, url);
      await page.locator('[data-backend=ams-1]').waitFor();
      const focused = () => page.evaluate(() => document.activeElement?.closest('[data-backend]')?.getAttribute('data-backend'));
      await page.keyboard.press('j');
      assert.equal(await focused(), 'ams-1');
      await page.keyboard.press('j');
      assert.equal(await focused(), 'ams-2');
      await page.keyboard.press('k');
      assert.equal(await focused(), 'ams-1');
      await page.keyboard.press('?');
      const dialog = page.getByRole('dialog', { name: 'Keys' });
      await dialog.waitFor();
      assert.deepEqual(await violations(page), []);
      await page.screenshot({ path: 'test-results/keys-light-desk.png' });
      await dialog.getByRole('checkbox').uncheck();
      await page.keyboard.press('Escape');
      await dialog.waitFor({ state: 'detached' });
      await page.keyboard.press('?');
      await frames(page, 5);
      assert.equal(await dialog.count(), 0);
      await page.getByRole('button', { name: 'Keys' }).click();
      await dialog.getByRole('checkbox').check();
      await page.keyboard.press('Escape');
      await page.keyboard.press('g');
      await page.keyboard.press('l');
      assert.match(page.url(), /#\/logs/);
      await close();
    }));
});

test('a process that wants no traffic says why, in the page and in the tab', () =>
  playing('leaving', async (url, play) => {
    const { page, close } = await open(browser, url);
    await page.getByTestId('not-ready').getByText('draining: requests in flight are finished').waitFor();
    await page.getByText('14 requests in flight.').waitFor();
    await page.waitForFunction(() => document.title.startsWith('Not ready · Serving'));
    assert.match((await page.locator('link[rel=icon]').getAttribute('href')) ?? '', /favicon-moved/);
    play.process.is_ready = true;
    await page.getByTestId('not-ready').waitFor({ state: 'detached' });
    await close();
  }));
