// The page when things go wrong: no connection, nonsense on the wire, a flood of log lines.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { becomes, checkTask, frames, launch, longestTask, open, picture, sidewaysScroll, until, untilSentence, violations } from './browser.mjs';
import { playing } from './mocked.mjs';

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser.close());

/** Complaints that are the browser's own about a server that is away. */
const away = (text) => /net::ERR_|Failed to load resource|WebSocket connection/.test(text);

describe('connection', () => {
  for (const [scheme, device] of [['light', 'desk'], ['dark', 'phone']]) {
    test(`lost and found again: ${scheme}, ${device}`, () =>
      playing('storied', async (url, play) => {
        const { page, complaints, close } = await open(browser, url, { scheme, device });
        await untilSentence(page, /Serving from primary/);
        play.trouble = 'closed';
        for (const client of play.sockets) client.terminate();
        const bar = page.getByTestId('disconnected');
        await bar.getByText(/Not connected for \d+/).waitFor();
        await bar.getByText(/Next attempt in \d+/).waitFor();
        await bar.getByText(/The values below are from \d\d:\d\d:\d\d/).waitFor();
        await page.waitForFunction(() => document.title.startsWith('Not connected'));
        await becomes(() => page.getByRole('button', { name: /^Fail primary/ }).getAttribute('aria-disabled'), 'true');
        await page.getByText('Fail and Recover cannot be used: not connected').waitFor();
        await bar.getByText(/Not connected for ([2-9]|\d\d)\s+s/).waitFor();
        await picture(page, `disconnected-${scheme}-${device}`);
        assert.deepEqual(await violations(page), []);
        assert.equal(await sidewaysScroll(page), 0);
        // The page tries by itself, too, and so do its sockets. Far from its next attempt, what asks is the button;
        // only then may anything of it succeed.
        await bar.getByText(/Next attempt in ([6-9]|1\d)\s+s/).waitFor({ timeout: 40_000 });
        const asked = page.waitForRequest((it) => it.url().includes('/api/proxy/health'), { timeout: 5_000 });
        await bar.getByRole('button', { name: 'Retry now' }).click();
        await asked;
        play.trouble = null;
        await bar.waitFor({ state: 'detached', timeout: 40_000 });
        await becomes(() => page.getByRole('button', { name: /^Fail primary/ }).getAttribute('aria-disabled'), 'false');
        assert.deepEqual(complaints.filter((it) => !away(it)), []);
        await close();
      }));
  }

  test('never had: the page says what it asked, what it heard and what to do', () =>
    playing('down', async (url) => {
      const { page, close } = await open(browser, url);
      await page.getByText('The proxy has not answered yet.').waitFor();
      await page.getByText('the proxy does not answer at 127.0.0.1:9901').first().waitFor();
      await page.getByText('To fix: start bascule').waitFor();
      await picture(page, 'never-connected-light-desk');
      assert.deepEqual(await violations(page), []);
      await close();
    }));

  test('slow to come: after three seconds the page says what it waits for', () =>
    playing('calm', async (url, play) => {
      play.trouble = 'silent';
      const { page, close } = await open(browser, url, { device: 'phone' });
      await page.getByText('Asking the proxy how it is…').waitFor();
      await picture(page, 'loading-light-phone');
      await untilSentence(page, /Waiting for GET \/api\/proxy\/health for \d/);
      await page.getByText('no answer within 4 s').first().waitFor();
      await close();
    }));

  test('one call that fails does not take the rest of the page with it', () =>
    playing('storied', async (url, play) => {
      const { page, close } = await open(browser, url);
      await page.locator('[data-incident]').first().waitFor();
      play.broken.add('incidents');
      await page.getByText('incidents cannot be read.').waitFor();
      await page.getByText(/as of \d\d:\d\d:\d\d/).waitFor();
      await untilSentence(page, /Serving from primary/);
      play.broken.clear();
      await page.getByText('incidents cannot be read.').waitFor({ state: 'detached' });
      await close();
    }));

  test('a restarted proxy is said to have restarted', () =>
    playing('storied', async (url, play) => {
      const { page, close } = await open(browser, url);
      await page.locator('[data-incident]').first().waitFor();
      play.restart();
      await page.getByText('The proxy restarted at').waitFor();
      await page.getByText('No failovers since start').waitFor();
      await picture(page, 'restarted-light-desk');
      await page.getByRole('button', { name: 'Dismiss' }).click();
      await page.getByText('The proxy restarted at').waitFor({ state: 'detached' });
      await close();
    }));

  test('an incident that is not kept is explained', () =>
    playing('calm', async (url) => {
      const { page, close } = await open(browser, url, { path: '/#/incident/api-9' });
      await page.getByText('Incident api-9 is not kept any more, or never was').waitFor();
      await page.getByText('The proxy answered: no incident api-9.').waitFor();
      await picture(page, 'incident-gone-light-desk');
      await close();
    }));
});

describe('nonsense', () => {
  test('in an answer is shown as a problem, with the place', () =>
    playing('storied', async (url, play) => {
      const { page, complaints, close } = await open(browser, url);
      await untilSentence(page, /Serving from primary/);
      play.trouble = 'malformed';
      await page.getByText('the answer could not be read: now: expected a time, got "yesterday"').waitFor();
      play.trouble = null;
      await page.getByTestId('disconnected').waitFor({ state: 'detached' });
      assert.deepEqual(complaints, []);
      await close();
    }));

  test('in the log becomes a row, and the log goes on', () =>
    playing('calm', async (url, play) => {
      const { page, complaints, close } = await open(browser, url);
      await page.locator('.log-row').first().waitFor();
      for (const client of play.sockets) {
        client.send('not json');
        client.send(Buffer.from([1, 2, 3]));
        client.send('{"type":"lines","lines":[{"seq":"one"}]}');
        client.send('{"type":"dropped","count":214}');
      }
      await page.getByText('a frame that is not JSON').waitFor();
      await page.getByText('a frame that is not text').waitFor();
      await page.getByText('lines[0].seq: expected a number, got "one"').waitFor();
      await page.getByText('214 lines skipped').waitFor();
      play.log.write('warn', 'fleet', 'and the log goes on', { pool: 'api' });
      await page.getByText('and the log goes on').waitFor();
      assert.deepEqual(complaints, []);
      await close();
    }));
});

describe('log', () => {
  const rows = (page) => page.locator('.log-row').count();

  test('takes 150,000 lines, as fast as up to 5,000 a second come, with few rows drawn, no long task and bounded memory', { timeout: 240_000 }, () =>
    playing('flood', async (url, play) => {
      const { page, context, complaints, close } = await open(browser, url);
      await page.locator('.log-row').first().waitFor();
      const debug = await context.newCDPSession(page);
      const heap = async () => {
        await debug.send('HeapProfiler.collectGarbage');
        return (await debug.send('Runtime.getHeapUsage')).usedSize / 2 ** 20;
      };
      // Full, as it stays.
      await page.getByText('10,000 lines').waitFor();
      const [before, seq, began] = [await heap(), play.log.seq, Date.now()];
      let most = 0;
      const task = await longestTask(browser, page, async () => {
        while (play.log.seq < seq + 150_000) {
          await frames(page, 30);
          most = Math.max(most, await rows(page));
        }
      });
      const [after, written, seconds] = [await heap(), play.log.seq - seq, (Date.now() - began) / 1000];
      console.log(`# ${written} lines in ${seconds.toFixed(0)} s, at most ${most} rows in the page, heap ${before.toFixed(0)} to ${after.toFixed(0)} MiB`);
      assert.ok(most > 0 && most < 40, `${most} rows`);
      checkTask('a flood of lines', task);
      assert.ok(after < before + 30, `the heap grew from ${before} to ${after} MiB`);
      assert.match((await page.getByTestId('log-count').textContent()) ?? '', /10,000 lines/);
      await picture(page, 'flood-light-desk');
      assert.deepEqual(complaints, []);
      await close();
    }));

  test('is searched by an expression while 5,000 lines a second come, and none can freeze the page', () =>
    playing('flood', async (url, play) => {
      const { page, complaints, close } = await open(browser, url, { path: '/#/logs' });
      await page.getByText('10,000 lines').waitFor();
      await page.getByRole('button', { name: 'Regular expression' }).click();
      await page.getByRole('searchbox').fill('request_id=r-\\d*7$');
      await page.getByText(/[\d,]{3,} matches/).waitFor();
      // The rows are drawn a moment after the count.
      await until(
        () => page.locator('.log-row').allTextContents(),
        (found) => found.length > 10 && found.every((it) => /request_id=r-\d*7$/.test(it)),
        'rows are to be shown, and only those that match',
      );
      await page.getByRole('searchbox').fill('(');
      await page.getByText(/Unterminated group/).waitFor();
      play.linesPerSecond = 0;
      play.log.write('info', 'fleet', 'a'.repeat(40), {});
      const task = await longestTask(browser, page, async () => {
        await page.getByRole('searchbox').fill('^info fleet (a+)+$x');
        await page.getByText('this takes too long to try; it was given up').waitFor();
      });
      checkTask('an expression without end', task);
      await page.getByRole('searchbox').fill('aaaa$');
      await page.getByText('1 match').waitFor();
      assert.deepEqual(complaints, []);
      await close();
    }));

  test('what is looked for is in the address, and matches are walked', () =>
    playing('storied', async (url) => {
      const { page, context, close } = await open(browser, url, { path: '/#/logs' });
      await page.getByText('pool failed over').first().waitFor();
      await page.keyboard.press('/');
      await page.keyboard.type('failed');
      await page.getByText('4 matches').waitFor();
      await page.getByRole('button', { name: 'All lines' }).click();
      await becomes(() => page.locator('.log-row.hit').count(), 4);
      await page.getByRole('combobox', { name: 'Level' }).selectOption('warn');
      await page.getByText('2 matches').waitFor();
      await page.getByRole('button', { name: 'Match before' }).click();
      await page.getByRole('button', { name: 'Match before' }).click();
      await becomes(() => page.locator('.log-row.focused').textContent(), /pool failed over.*0\.512/);
      assert.match(page.url(), /#\/logs\?q=failed&all=1&level=warn$/);
      await page.reload();
      await page.getByText('2 matches').waitFor();
      await picture(page, 'log-matches-light-desk');
      await page.getByRole('combobox', { name: 'Backend' }).selectOption('secondary');
      await page.getByText('2 matches').waitFor();
      await context.grantPermissions(['clipboard-read', 'clipboard-write']);
      await page.getByRole('button', { name: 'Copy the lines shown' }).click();
      await becomes(() => page.evaluate(() => navigator.clipboard.readText()), /^20\S+Z warn fleet pool failed over pool=api backend=primary to=secondary/);
      const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Download the lines shown' }).click()]);
      assert.match(download.suggestedFilename(), /^bascule-log-\d{8}T\d{6}Z\.jsonl$/);
      const saved = (await readFile(await download.path(), 'utf8')).trim().split('\n').map((it) => JSON.parse(it));
      assert.deepEqual(saved.map((it) => it.message), ['pool failed over', 'pool failed over']);
      await close();
    }));

  test('filters by level and text at once, and marks stay', () =>
    playing('storied', async (url, play) => {
      const { page, close } = await open(browser, url, { scheme: 'dark' });
      await page.getByText('pool failed over').first().waitFor();
      await page.keyboard.press('/');
      assert.equal(await page.evaluate(() => document.activeElement?.getAttribute('type')), 'search');
      await page.keyboard.type('ejected refused');
      await page.waitForFunction(() => document.querySelectorAll('.log-row').length === 1);
      await page.keyboard.press('Escape');
      await page.getByRole('combobox', { name: 'Level' }).selectOption('warn');
      await page.waitForFunction(() => {
        const rows = [...document.querySelectorAll('.log-row')];
        return rows.length > 0 && rows.every((it) => it.textContent.includes('warn'));
      });
      await page.getByRole('combobox', { name: 'Level' }).selectOption('debug');
      await page.getByText('health check passed').first().waitFor();
      await page.getByRole('searchbox').fill('nothing holds this');
      await page.getByText('No line holds “nothing holds this”.').waitFor();
      await until(() => play.sockets.size, (it) => it === 1, 'one reader of the log');
      await close();
    }));

  test('pauses, counts what is new, and resumes at the end', () =>
    playing('flood', async (url) => {
      const { page, close } = await open(browser, url);
      await page.locator('.log-row').first().waitFor();
      await page.getByRole('button', { name: 'Pause' }).click();
      await page.getByRole('button', { name: /^Resume/ }).waitFor();
      const frozen = await page.locator('.log-row').allTextContents();
      await page.getByRole('button', { name: /^Resume \([\d,]+ new\)$/ }).waitFor();
      assert.deepEqual(await page.locator('.log-row').allTextContents(), frozen);
      await page.getByRole('button', { name: /^Resume/ }).click();
      await page.waitForFunction((old) => document.querySelector('.log-row')?.textContent !== old, frozen[0]);
      await page.locator('.log-box').hover();
      await page.mouse.wheel(0, -400);
      await page.getByRole('button', { name: /^Resume/ }).waitFor();
      await close();
    }));

  test('is walked by keyboard, and a line opens to its JSON', () =>
    playing('storied', async (url) => {
      const { page, close } = await open(browser, url);
      await page.getByText('pool failed back').first().waitFor();
      await page.locator('.log-box').focus();
      await page.keyboard.press('ArrowUp');
      await page.keyboard.press('ArrowUp');
      await page.keyboard.press('Enter');
      const json = page.locator('.log-json pre');
      await json.waitFor();
      assert.ok('seq' in JSON.parse((await json.textContent()) ?? ''));
      assert.deepEqual(await violations(page), []);
      await picture(page, 'log-open-light-desk');
      await page.keyboard.press('Escape');
      await json.waitFor({ state: 'detached' });
      await page.getByRole('button', { name: 'Pause' }).waitFor();
      await close();
    }));

  test('repeats nothing after it lost its connection', () =>
    playing('calm', async (url, play) => {
      const { page, close } = await open(browser, url);
      await page.getByText('bascule started').waitFor();
      for (const client of play.sockets) client.terminate();
      play.log.write('info', 'fleet', 'written while nobody read', {});
      await page.getByText('written while nobody read').waitFor();
      assert.equal(await page.getByText('bascule started').count(), 1);
      await close();
    }));
});
