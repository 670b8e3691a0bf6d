// Who is there, against the mock in a real Chromium: signing in and being signed out; audit,
// configuration, about.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { CHANGE, PROBLEM } from '../mock/control.mjs';
import { becomes, frames, launch, open, untilSentence, violations } from './browser.mjs';
import { act, card, gate, orders, playing, refusal, seen, signIn } from './mocked.mjs';

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser.close());

describe('who is there', () => {
  test('a viewer sees what only operators may do, and why not; a token changes that and is sent with everything', () =>
    playing('calm', async (url, play) => {
      play.control.tokens = { operator: 'right', viewer: 'weak' };
      const { page, complaints, close } = await open(browser, url);
      const drain = card(page, 'primary').getByRole('button', { name: 'Drain primary, cannot be used: needs operator: sign in' });
      await drain.waitFor();
      await drain.click({ force: true });
      await frames(page, 5);
      assert.deepEqual(play.posts, []);
      await seen(page, complaints, 'viewer-light-desk');
      await page.locator('.section-head').getByRole('button', { name: 'Sign in', exact: true }).click();
      const field = page.locator('input[name=token]');
      await page.locator('input[name=token]:focus').waitFor();
      await field.fill('wrong');
      await page.keyboard.press('Enter');
      await page.getByRole('dialog').getByText('The token is nobody\'s.').waitFor();
      await seen(page, complaints, 'sign-in-light-desk');
      await signIn(page, 'right');
      await act(page, 'secondary', 'Drain').click();
      await card(page, 'secondary').getByText('secondary is drained').waitFor();
      assert.equal(play.control.trail[0].who.name, 'alice');
      assert.deepEqual(await page.evaluate(() => [sessionStorage.getItem('bascule-token'), JSON.stringify(localStorage).includes('right')]), ['right', false]);
      await page.reload();
      await page.getByRole('button', { name: 'alice' }).click();
      await page.getByRole('dialog').getByText('sees everything and may change it').waitFor();
      await page.getByRole('dialog').getByText('203.0.113.9').waitFor();
      await page.getByRole('button', { name: 'Sign out' }).click();
      assert.equal(await page.evaluate(() => sessionStorage.getItem('bascule-token')), null);
      await page.keyboard.press('Escape');
      await drain.waitFor();
      await close();
    }));

  test('signing out leaves nothing on the page that was shown, and nothing that was typed', () =>
    playing('storied', async (url, play) => {
      play.control.tokens = { operator: 'right', viewer: 'weak' };
      play.control.anonymous = 'none';
      play.control.note({ kind: 'token', name: 'mallory', address: '198.51.100.7' }, 'POST /pools/api/failover', null, { status: 403, code: 'role_too_low', message: 'this needs the role `operator`' });
      const { page, complaints, close } = await open(browser, url);
      const forbidden = page.getByTestId('forbidden');
      for (const [path, shows] of [['#/', 'secondary took over'], ['#/logs', 'pool failed back'], ['#/audit', 'mallory'], ['#/config', 'fault_injection:'], ['#/incident/api-1', 'What it cost'], ['#/about', 'the first process']]) {
        await forbidden.getByRole('button', { name: 'Sign in' }).click();
        await signIn(page, 'right');
        await page.goto(`${url}/${path}`);
        await page.getByText(shows).first().waitFor();
        if (path === '#/config') await page.getByRole('textbox', { name: 'Configuration as YAML' }).fill('secret: typed');
        await page.getByRole('button', { name: 'alice' }).click();
        await page.getByRole('button', { name: 'Sign out' }).click();
        await page.keyboard.press('Escape');
        await forbidden.waitFor();
        const left = await page.evaluate(() => `${document.querySelector('#app').textContent} ${[...document.querySelectorAll('textarea')].map((it) => it.value)}`);
        assert.doesNotMatch(left, /primary|secondary|pool failed|mallory|alice|fault_injection|typed|What it cost|the first process/, path);
      }
      assert.deepEqual(complaints.filter((it) => !refusal(it)), []);
      await close();
    }));

  test('an answer that was asked for before signing out is not shown after it', () =>
    playing('calm', async (url, play) => {
      play.control.tokens = { operator: 'right', viewer: 'weak' };
      play.control.anonymous = 'none';
      const { page, close } = await open(browser, url);
      await page.getByTestId('forbidden').getByRole('button', { name: 'Sign in' }).click();
      await signIn(page, 'right');
      await untilSentence(page, /^Serving from primary/);
      const [asked, held] = [gate(), gate()];
      await page.route('**/api/config**', async (route) => {
        const response = await route.fetch();
        asked.pass();
        await held.passed;
        await route.fulfill({ response });
      });
      await page.goto(`${url}/#/config`);
      await asked.passed;
      await page.getByRole('button', { name: 'alice' }).click();
      await page.getByRole('button', { name: 'Sign out' }).click();
      await page.getByTestId('forbidden').waitFor();
      const answered = page.waitForResponse(/api\/config/);
      held.pass();
      await answered;
      await page.unrouteAll({ behavior: 'wait' });
      await frames(page, 5);
      assert.doesNotMatch(await page.locator('#app').textContent(), /bascule\.yaml|generation/i);
      await close();
    }));

  test('what became of an order is not shown to whoever signs in after who placed it', () =>
    playing('calm', async (url, play) => {
      play.control.tokens = { operator: 'right', viewer: 'weak' };
      play.control.anonymous = 'none';
      const { page, close } = await open(browser, url);
      const forbidden = page.getByTestId('forbidden');
      await forbidden.getByRole('button', { name: 'Sign in' }).click();
      await signIn(page, 'right');
      const [asked, held] = [gate(), gate()];
      await page.route('**/api/backends/**', async (route) => {
        const response = await route.fetch();
        asked.pass();
        await held.passed;
        await route.fulfill({ response });
      });
      await act(page, 'secondary', 'Drain').click();
      await asked.passed;
      await page.getByRole('button', { name: 'alice' }).click();
      await page.getByRole('button', { name: 'Sign out' }).click();
      await page.keyboard.press('Escape');
      await forbidden.getByRole('button', { name: 'Sign in' }).click();
      await signIn(page, 'right');
      await act(page, 'secondary', 'Undrain').waitFor();
      const answered = page.waitForResponse(/api\/backends/);
      held.pass();
      await answered;
      await page.unrouteAll({ behavior: 'wait' });
      await frames(page, 5);
      assert.equal(await card(page, 'secondary').getByText('secondary is drained').count(), 0);
      await close();
    }));

  test('the log is watched with a ticket, because a WebSocket cannot show a token', () =>
    playing('calm', async (url, play) => {
      play.control.tokens = { operator: 'right', viewer: 'weak' };
      play.control.anonymous = 'none';
      const { page, complaints, close } = await open(browser, url);
      await page.getByTestId('forbidden').getByText('The proxy shows nothing here until you sign in.').waitFor();
      await page.waitForFunction(() => document.title === 'Sign in · Bascule');
      await seen(page, complaints, 'forbidden-light-desk');
      await page.getByTestId('forbidden').getByRole('button', { name: 'Sign in' }).click();
      await page.locator('input[name=token]').fill('weak');
      await page.keyboard.press('Enter');
      await untilSentence(page, /^Serving from primary/);
      await page.getByText('bascule started').waitFor();
      assert.ok(play.sockets.size >= 1);
      await page.getByText('Changing anything needs an operator').waitFor();
      await close();
    }));

  test('too many wrong tokens have it wait, with a countdown, and then it goes on', () =>
    playing('calm', async (url, play) => {
      play.control.tokens = { operator: 'right', viewer: 'weak' };
      const { page, close } = await open(browser, url, { scheme: 'dark', device: 'phone' });
      await page.locator('.identity').click();
      for (const token of ['a', 'b', 'c', 'd']) {
        await page.locator('input[name=token]').fill(token);
        await page.keyboard.press('Enter');
        await page.getByRole('dialog').getByRole('button', { name: 'Asking…' }).waitFor({ state: 'detached' });
      }
      await page.getByRole('dialog').getByText('Too many wrong tokens came from this address.').waitFor();
      const wait = page.getByRole('dialog').getByRole('button', { name: /^Wait \d/ });
      await wait.waitFor();
      await page.screenshot({ path: 'test-results/sign-in-wait-dark-phone.png' });
      assert.deepEqual(await violations(page), []);
      await wait.waitFor({ state: 'detached' });
      await signIn(page, 'right');
      await close();
    }));

  test('a token that is rotated while the page is open signs out at once, says so, and keeps what is typed', () =>
    playing('calm', async (url, play) => {
      play.control.tokens = { operator: 'right', viewer: 'weak' };
      const { page, complaints, heard, close } = await open(browser, url);
      await page.locator('.identity').click();
      await signIn(page, 'right');
      await page.getByRole('button', { name: 'alice' }).waitFor();
      await page.getByRole('button', { name: 'More for primary' }).click();
      await page.getByRole('textbox', { name: 'Weight of primary' }).fill('77');
      play.control.tokens = { operator: 'new', viewer: 'weak' };
      await page.getByTestId('expired').getByText('the proxy does not know your token any more').waitFor();
      await act(page, 'primary', 'Drain').waitFor();
      await becomes(() => act(page, 'primary', 'Drain').getAttribute('aria-disabled'), 'true');
      assert.equal(await page.getByRole('textbox', { name: 'Weight of primary' }).inputValue(), '77');
      await heard(3);
      assert.equal(play.control.waitUntil, 0, 'the old token is not shown again and again');
      await seen(page, complaints, 'expired-light-desk');
      await page.getByTestId('expired').getByRole('button', { name: 'Sign in' }).click();
      await page.getByRole('dialog').getByText('Your token is not accepted any more').waitFor();
      await page.locator('input[name=token]').fill('new');
      await page.keyboard.press('Enter');
      await page.getByTestId('expired').waitFor({ state: 'detached' });
      await page.getByRole('textbox', { name: 'Weight of primary' }).press('Enter');
      await card(page, 'primary').getByText('primary has weight 77.').waitFor();
      await close();
    }));
});

test('a page that the server has replaced meanwhile says so', () =>
  playing('calm', async (url, play) => {
    const { page, close } = await open(browser, url);
    await untilSentence(page, /Serving/);
    const html = (await (await fetch(url)).text()).replace(/index-[\w-]+\.js/, 'index-new.js');
    await page.route(`${url}/`, (route) => route.fulfill({ contentType: 'text/html', body: html }));
    play.trouble = 'closed';
    await page.getByTestId('disconnected').waitFor();
    // It tries again by itself.
    play.trouble = null;
    await page.getByTestId('outdated').getByText('The dashboard was updated.').waitFor();
    await page.getByTestId('outdated').getByRole('button', { name: 'Reload' }).waitFor();
    await page.screenshot({ path: 'test-results/outdated-light-desk.png' });
    assert.deepEqual(await violations(page), []);
    await close();
  }));

describe('audit', () => {
  test('lists who did what, is filtered, and shows more on demand', () =>
    playing('calm', async (url, play) => {
      const local = { kind: 'local', name: null, address: '127.0.0.1' };
      for (let i = 0; i < 60; i += 1) play.control.note(local, 'POST /backends/api/primary/weight', { action: 'backend.weight', target: 'api/primary', before: { weight: i }, after: { weight: i + 1 } });
      play.control.note({ kind: 'token', name: 'mallory', address: '198.51.100.7' }, 'POST /pools/api/failover', null, { status: 403, code: 'role_too_low', message: 'this needs the role `operator`' });
      const { page, complaints, close } = await open(browser, url, { path: '/#/audit' });
      const rows = page.locator('[data-audit]');
      await rows.first().getByText('Wanted a failover of api').waitFor();
      assert.equal(await rows.count(), 50);
      await rows.nth(1).getByText('weight 59').waitFor();
      await page.getByRole('button', { name: 'Show older' }).click();
      await page.waitForFunction(() => document.querySelectorAll('[data-audit]').length === 61);
      await page.getByRole('combobox', { name: 'Result' }).selectOption('refused');
      await page.waitForFunction(() => document.querySelectorAll('[data-audit]').length === 1);
      assert.match(page.url(), /#\/audit\?result=refused$/);
      await page.getByRole('combobox', { name: 'Result' }).selectOption('all');
      await page.getByRole('searchbox').fill('MALLORY failover');
      await page.getByText('1 of 61 entries').waitFor();
      await page.getByRole('searchbox').fill('nobody at all');
      await page.getByText('No entry is like that.').waitFor();
      assert.deepEqual(complaints, []);
      await close();
    }));

  test('is asked for again after a failure', () =>
    playing('calm', async (url, play) => {
      play.broken.add('audit');
      const { page, close } = await open(browser, url, { path: '/#/audit' });
      await page.getByText('Audit cannot be read').waitFor();
      play.broken.clear();
      await page.getByRole('button', { name: 'Try again' }).click();
      await page.getByText('Nobody has changed anything since the proxy started.').waitFor();
      await close();
    }));
});

describe('configuration', () => {
  test('is reloaded after its difference was seen, and only if nobody was faster', () =>
    playing('calm', async (url, play) => {
      const { control } = play;
      const { page, complaints, close } = await open(browser, url, { path: '/#/config' });
      await page.getByRole('region', { name: 'Effective configuration as YAML' }).getByText('fault_injection:').waitFor();
      const look = page.getByRole('button', { name: /^See what would change/ });
      await look.click();
      await page.getByText('Good: it says what is in use already. Loading it only reads tokens and certificates again.').waitFor();
      control.pendingChanges = [CHANGE];
      await look.click();
      await page.getByText('Good: 1 change.').waitFor();
      await page.getByText('bascule reload --expect generation=3').waitFor();
      control.config.generation = 4;
      await page.getByRole('button', { name: /^Load it/ }).click();
      await page.getByText('Generation 4 is in use.').waitFor();
      await page.getByRole('button', { name: 'Look again' }).click();
      await page.getByRole('button', { name: /^Load it/ }).click();
      await page.getByText('Loaded: generation 5, 1 change.').first().waitFor();
      assert.deepEqual(orders(play).map(([, body]) => body), [{ dry_run: true }, { dry_run: true }, { expect: { generation: 3 } }, { dry_run: true }, { expect: { generation: 4 } }]);
      assert.deepEqual(complaints.filter((it) => !refusal(it)), []);
      await close();
    }));

  test('that is bad is refused with every problem, its place and what to do', () =>
    playing('calm', async (url, play) => {
      play.control.pendingProblems = [PROBLEM, { ...PROBLEM, severity: 'warning', code: 'B0200', message: '`retries` is high', line: 20 }];
      const { page, complaints, close } = await open(browser, url, { path: '/#/config' });
      await page.getByRole('button', { name: /^See what would change/ }).click();
      await page.getByText('Refused: 1 error. What is in use stays.').waitFor();
      await page.getByText('line 14, column 17').waitFor();
      await page.getByText('write a length of at least 10ms').first().waitFor();
      assert.equal(await page.getByRole('button', { name: /^Load it/ }).count(), 0);
      const area = page.getByRole('textbox', { name: 'Configuration as YAML' });
      await area.fill(`${'a: 1\n'.repeat(13)}      interval: 0s\n`);
      await page.getByRole('button', { name: 'Check', exact: true }).click();
      await page.getByText('Would be refused: 1 error.').waitFor();
      await page.getByRole('button', { name: 'line 14, column 17' }).click();
      assert.equal(await area.evaluate((it) => it.value.slice(it.selectionStart, it.selectionEnd)), '0s');
      await seen(page, complaints, 'config-bad-light-desk');
      await close();
    }));
});
