// What operators do on the page, against the mock in a real Chromium: by mouse and by keyboard, done,
// refused, overtaken by somebody else.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { CHANGE } from '../mock/control.mjs';
import { becomes, drawn, launch, LOOKS, open, untilSentence, violations } from './browser.mjs';
import { act, card, focused, orders, playing, refusal, seen, untilFocused } from './mocked.mjs';

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser.close());

describe('every look of what operators use', () => {
  for (const { scheme, device } of LOOKS) {
    test(`actions, dialogs and screens are accessible and fit: ${scheme}, ${device}`, () =>
      playing('storied', async (url, play) => {
        play.control.pendingChanges = [CHANGE, { kind: 'added', path: 'pools.api.backends[c]', before: null, after: { url: 'http://127.0.0.1:3003' } }];
        const look = `${scheme}-${device}`;
        const { page, complaints, close } = await open(browser, url, { scheme, device });
        await untilSentence(page, /Serving from primary/);
        await act(page, 'secondary', 'Drain').click();
        await card(page, 'secondary').getByText('secondary is drained').waitFor();
        await page.getByRole('button', { name: 'More for primary' }).click();
        await page.getByRole('textbox', { name: 'Weight of primary' }).fill('50');
        await act(page, 'primary', 'Drain').click();
        await page.getByRole('button', { name: 'Drain anyway primary' }).waitFor();
        await seen(page, complaints, `actions-${look}`);
        await page.getByRole('button', { name: /^Fail over api/ }).click();
        await page.getByRole('dialog').getByText('Nothing of tier 1 may be picked now').waitFor();
        await seen(page, complaints, `move-${look}`);
        await page.keyboard.press('Escape');
        await page.getByRole('link', { name: 'Audit', exact: true }).click();
        await page.locator('[data-audit="2"]').getByText('Wanted to drain api/primary').waitFor();
        await seen(page, complaints, `audit-${look}`);
        await page.getByRole('link', { name: 'Configuration', exact: true }).click();
        await page.getByRole('button', { name: /^See what would change/ }).click();
        await page.getByText('Good: 2 changes.').waitFor();
        await seen(page, complaints, `config-${look}`);
        await page.getByRole('link', { name: 'About', exact: true }).click();
        await page.getByText('the first process').waitFor();
        await seen(page, complaints, `about-${look}`);
        await close();
      }));
  }
});

describe('orders about a backend', () => {
  test('drain tells what it outlives, is taken back by Undo, and the focus stays at hand', () =>
    playing('calm', async (url, play) => {
      const { page, complaints, close } = await open(browser, url);
      await act(page, 'secondary', 'Drain').click();
      // Within the page, in the frame in which it comes: a busy machine may need five seconds for a click.
      const said = await page.waitForFunction(() => {
        const outcome = document.querySelector('[data-testid=outcome]');
        const undo = [...(outcome?.querySelectorAll('button') ?? [])].find((it) => it.textContent.includes('Undo'));
        const words = outcome?.textContent;
        undo?.click();
        return undo !== undefined && words;
      });
      assert.match(await said.jsonValue(), /secondary is drained: nothing is in flight\. Kept through a reload and an upgrade, not through a restart\..*Undo.*undrain secondary/);
      await act(page, 'secondary', 'Drain').waitFor();
      await untilFocused(page, /rain secondary$/);
      assert.deepEqual(orders(play), [
        ['/backends/api/secondary/drain', { expect: { intent: 'enabled' } }],
        ['/backends/api/secondary/undrain', { expect: { intent: 'draining' } }],
      ]);
      assert.deepEqual(complaints, []);
      await close();
    }));

  test('Undo goes after five seconds, Undrain stays, and whoever stood on Undo is not lost', () =>
    playing('calm', async (url) => {
      const { page, close } = await open(browser, url);
      await act(page, 'secondary', 'Drain').click();
      const undo = card(page, 'secondary').getByRole('button', { name: /^Undo/ });
      await undo.focus();
      await undo.waitFor({ state: 'detached' });
      await untilFocused(page, /^Undrain secondary(,|$)/);
      await close();
    }));

  test('what would leave nobody is refused with its reason, and done only by a second, deliberate press', () =>
    playing('calm', async (url, play) => {
      const { page, complaints, heard, close } = await open(browser, url);
      await act(page, 'secondary', 'Drain').click();
      await act(page, 'secondary', 'Undrain').waitFor();
      await act(page, 'primary', 'Drain').click();
      const box = card(page, 'primary').getByRole('group', { name: 'Problem' });
      await box.getByText('Nobody else of pool api may be picked').waitFor();
      await box.getByText('bascule backend drain api/primary --force').waitFor();
      assert.equal(await box.getByRole('link', { name: 'entry 2 of the audit list' }).getAttribute('href'), '#/audit?id=2');
      await heard(2);
      assert.equal(await box.count(), 1, 'a refusal stays until it is seen');
      await box.getByRole('button', { name: 'Drain anyway primary' }).click();
      await card(page, 'primary').getByText('primary is drained').waitFor();
      assert.deepEqual(orders(play).at(-1), ['/backends/api/primary/drain', { force: true, expect: { intent: 'enabled' } }]);
      await act(page, 'primary', 'Undrain').waitFor();
      await untilFocused(page, /^Undrain primary(,|$)/);
      assert.deepEqual(complaints.filter((it) => !refusal(it)), []);
      await close();
    }));

  test('the weight shows its share first and is applied on Enter', () =>
    playing('calm', async (url, play) => {
      const { page, close } = await open(browser, url);
      await page.getByRole('button', { name: 'More for primary' }).click();
      const field = page.getByRole('textbox', { name: 'Weight of primary' });
      await field.focus();
      await page.keyboard.press('ArrowUp');
      await page.keyboard.press('Shift+ArrowUp');
      await becomes(() => field.inputValue(), '111');
      await page.keyboard.press('Escape');
      await becomes(() => field.inputValue(), '100');
      await page.getByRole('button', { name: 'Less weight for primary' }).click();
      await becomes(() => field.inputValue(), '90');
      await field.fill('300');
      await card(page, 'primary').getByText('A whole number from 0 to 256.').waitFor();
      await page.keyboard.press('Enter');
      await field.fill('50');
      await card(page, 'primary').getByText(/Would get 100.% of the traffic\. Now 100; Enter applies\./).waitFor();
      await card(page, 'primary').getByText('bascule backend weight api/primary 50').waitFor();
      assert.deepEqual(play.posts, []);
      await page.keyboard.press('Enter');
      await card(page, 'primary').getByText('primary has weight 50. Kept through a reload').waitFor();
      await card(page, 'primary').getByText('Ordered; the configuration says 100.').waitFor();
      assert.deepEqual(orders(play), [['/backends/api/primary/weight', { weight: 50, expect: { weight: 100 } }]]);
      await close();
    }));

  test('disable, enable, eject and readmit, from the list with their commands', () =>
    playing('calm', async (url, play) => {
      const { page, close } = await open(browser, url);
      await page.getByRole('button', { name: 'More for secondary' }).click();
      const listed = (label) => page.getByRole('button', { name: `${label} secondary as listed` });
      await listed('Disable').click();
      await card(page, 'secondary').getByText('secondary is disabled: nothing is in flight.').waitFor();
      await listed('Enable').click();
      await listed('Drain').waitFor();
      await card(page, 'secondary').getByRole('combobox').selectOption('5m');
      await card(page, 'secondary').getByText('bascule backend eject api/secondary --for 5m').waitFor();
      await listed('Eject').click();
      await card(page, 'secondary').getByText(/secondary is ejected for 5.m/).waitFor();
      await listed('Readmit').click();
      await listed('Eject').waitFor();
      assert.deepEqual(play.posts.map((it) => it.path.split('/').at(-1)), ['disable', 'enable', 'eject', 'readmit']);
      assert.deepEqual(play.posts[2].body, { for: '5m' });
      await close();
    }));

  test('by keyboard alone', () =>
    playing('calm', async (url, play) => {
      const { page, close } = await open(browser, url);
      await act(page, 'secondary', 'Drain').focus();
      await page.keyboard.press('Enter');
      await act(page, 'secondary', 'Undrain').waitFor();
      await untilFocused(page, /^Undrain secondary(,|$)/);
      for (const wanted of ['Fail secondary', 'More for secondary']) {
        for (let steps = 0; (await focused(page)).split(',')[0] !== wanted && steps < 6; steps += 1) await page.keyboard.press('Tab');
        await untilFocused(page, new RegExp(`^${wanted}(,|$)`));
      }
      await page.keyboard.press('Enter');
      await page.keyboard.press('Shift+Tab');
      await page.keyboard.press('Tab');
      await page.locator(':focus[aria-expanded=true]').waitFor();
      await act(page, 'secondary', 'Undrain').focus();
      await page.keyboard.press(' ');
      await act(page, 'secondary', 'Drain').waitFor();
      await card(page, 'secondary').focus();
      await page.keyboard.press('d');
      await act(page, 'secondary', 'Undrain').waitFor();
      await page.keyboard.press('f');
      await page.getByRole('dialog').getByRole('heading', { name: 'Fail secondary of pool api?' }).waitFor();
      await page.keyboard.press('Escape');
      await untilFocused(page, /^Fail secondary(,|$)/);
      await page.keyboard.press('g');
      await page.keyboard.press('a');
      await page.getByRole('heading', { name: 'Audit' }).waitFor();
      assert.deepEqual(play.posts.map((it) => it.path.split('/').at(-1)), ['drain', 'undrain', 'drain']);
      await close();
    }));

  test('whoever is slower of two operators is told what has changed', () =>
    playing('calm', async (url, play) => {
      const [first, second] = await Promise.all([open(browser, url), open(browser, url)]);
      await Promise.all([first, second].map(({ page }) => page.getByRole('button', { name: 'More for secondary' }).click()));
      await second.page.getByRole('textbox', { name: 'Weight of secondary' }).fill('10');
      await first.page.getByRole('textbox', { name: 'Weight of secondary' }).fill('200');
      await first.page.keyboard.press('Enter');
      await first.page.getByText('secondary has weight 200.').waitFor();
      // The second page knows; what its operator saw when they began is what counts.
      await card(second.page, 'secondary').getByText(/Now 200; Enter applies\./).waitFor();
      await second.page.keyboard.press('Enter');
      const box = card(second.page, 'secondary').getByRole('group', { name: 'Problem' });
      await box.getByText('weight: you saw 100, it is 200 now').waitFor();
      await second.page.screenshot({ path: 'test-results/overtaken-light-desk.png' });
      assert.equal(play.pools[0].find('secondary').weight, 200);
      await box.getByRole('button', { name: 'Dismiss' }).click();
      await box.waitFor({ state: 'detached' });
      const field = second.page.getByRole('textbox', { name: 'Weight of secondary' });
      assert.equal(await field.inputValue(), '10', 'what was typed is still there');
      await field.press('Enter');
      await second.page.getByText('secondary has weight 10.').waitFor();
      await Promise.all([first.close(), second.close()]);
    }));

  test('an answer that does not come is told, and nothing is lost', () =>
    playing('calm', async (url, play) => {
      const { page, close } = await open(browser, url);
      await untilSentence(page, /Serving/);
      await page.route('**/drain', (route) => route.abort());
      await act(page, 'secondary', 'Drain').click();
      const box = card(page, 'secondary').getByRole('group', { name: 'Problem' });
      await box.getByText('look whether it was done before you try again').waitFor();
      await page.unroute('**/drain');
      await box.getByRole('button', { name: 'Try again secondary' }).click();
      await card(page, 'secondary').getByText('secondary is drained').waitFor();
      assert.equal(play.posts.length, 1);
      await close();
    }));

  test('while an order is under way, that is said and it is not given twice', () =>
    playing('calm', async (url, play) => {
      play.control.slowMs = 1_200;
      const { page, close } = await open(browser, url);
      await act(page, 'secondary', 'Drain').click();
      await card(page, 'secondary').getByTestId('outcome').getByText('Draining secondary…').waitFor();
      const busy = card(page, 'secondary').getByRole('button', { name: /^Draining… secondary, cannot be used: waiting for the answer/ });
      await busy.click({ force: true });
      await act(page, 'secondary', 'Undrain').waitFor();
      assert.equal(play.posts.length, 1);
      await close();
    }));
});

describe('the traffic of a pool', () => {
  test('is failed over and back, by dialogs that say what will happen', () =>
    playing('calm', async (url, play) => {
      const { page, complaints, close } = await open(browser, url);
      const over = page.getByRole('button', { name: /^Fail over api/ });
      await over.click();
      const dialog = page.getByRole('dialog');
      await untilFocused(page, /^Cancel(,|$)/);
      await dialog.getByText(/^All traffic of api \(\d+\/s\) moves at once from primary \(tier 0\) to secondary \(tier 1\), and stays there until you fail back\./).waitFor();
      await dialog.getByText("bascule failover api --to 'tier 1' --expect active=primary").waitFor();
      await dialog.getByRole('button', { name: 'Fail over api' }).click();
      await untilSentence(page, /^Serving from secondary since .*held on tier 1 by an operator/);
      await page.getByTestId('moved').getByText('Traffic of api goes to secondary. It is held there until it is failed back.').waitFor();
      await untilFocused(page, /^Fail over api/);
      await page.getByRole('button', { name: /^Fail back api/ }).click();
      await dialog.getByText('begins to return from secondary (tier 1) to primary (tier 0)').waitFor();
      await page.screenshot({ path: 'test-results/failback-light-desk.png' });
      await dialog.getByRole('button', { name: 'Fail back api' }).click();
      await untilSentence(page, /^Serving from primary/);
      assert.deepEqual(orders(play), [
        ['/pools/api/failover', { to: 'tier 1', expect: { active: 'primary' } }],
        ['/pools/api/failback', { expect: { active: 'secondary' } }],
      ]);
      assert.deepEqual(complaints, []);
      await close();
    }));

  test('is not moved from where it was not seen: the dialog says what has changed and looks again', () =>
    playing('calm', async (url, play) => {
      const { page, close } = await open(browser, url);
      await page.getByRole('button', { name: /^Fail over api/ }).click();
      play.control.order('/pools/api/failover', { to: 'tier 1' }, '', Date.now());
      await untilSentence(page, /^Serving from secondary/);
      const dialog = page.getByRole('dialog');
      await dialog.getByRole('button', { name: 'Fail over api' }).click();
      await dialog.getByText('active backend: you saw primary, it is secondary now').waitFor();
      await page.screenshot({ path: 'test-results/move-changed-light-desk.png' });
      assert.deepEqual(await violations(page), []);
      await dialog.getByRole('button', { name: 'Look again' }).click();
      await dialog.getByRole('group', { name: 'Problem' }).waitFor({ state: 'detached' });
      await untilFocused(page, /^Cancel(,|$)/);
      await page.keyboard.press('Enter');
      await dialog.waitFor({ state: 'detached' });
      await untilFocused(page, /^Fail over api/);
      await close();
    }));
});

describe('an injected fault', () => {
  for (const { scheme, device } of LOOKS) {
    test(`is announced on every screen until it is ended: ${scheme}, ${device}`, () =>
      playing('calm', async (url, play) => {
        const { page, complaints, close } = await open(browser, url, { scheme, device });
        await act(page, 'primary', 'Fail').click();
        await page.getByRole('radio', { name: /Hang/ }).check();
        await page.getByRole('dialog').getByText('bascule fault inject api/primary --mode hang --for 30s').waitFor();
        await page.getByRole('dialog').getByRole('button', { name: 'Fail primary' }).click();
        const banner = page.getByTestId('fault-banner');
        for (const screen of ['Audit', 'Configuration', 'About', 'Log', 'Overview']) {
          await page.getByRole('link', { name: screen, exact: true }).click();
          await banner.getByText(/primary of pool api fails on purpose: hang, for another \d+/).waitFor();
        }
        await drawn(page);
        await seen(page, complaints, `fault-${scheme}-${device}`);
        await banner.getByRole('button', { name: /^End now/ }).click();
        await banner.waitFor({ state: 'detached' });
        assert.deepEqual(orders(play).at(-1), ['/proxy/recover', { pool: 'api', backend: 'primary' }]);
        await close();
      }));
  }
});
