// What the tests against the mock have in common: a mock that is played with, how a look is judged, and where on the
// page an order is given.

import assert from 'node:assert/strict';
import { createMock } from '../mock/server.mjs';
import { DIST, picture, sidewaysScroll, until, violations } from './browser.mjs';

/** Plays a scenario on a port of its own, runs the body, and ends both. */
export async function playing(scenario, body) {
  const mock = createMock({ scenario, dist: DIST });
  const url = await mock.listen(0);
  try {
    await body(url, mock.play);
  } finally {
    await mock.close();
  }
}

/** The browser's own word for an answer that says no, which is what these tests ask for. */
export const refusal = (text) => /Failed to load resource: the server responded with a status of (401|403|409|422|429)|WebSocket connection/.test(text);

export const card = (page, name) => page.locator(`article[data-backend="${name}"]`);
export const act = (page, name, label) => card(page, name).getByRole('button', { name: new RegExp(`^${label} ${name}(,|$)`) });
export const focused = (page) => page.evaluate(() => document.activeElement?.getAttribute('aria-label') ?? document.activeElement?.textContent ?? '');

/** Waits until the focus is where it belongs: it moves with the next drawing, not with the press. */
export const untilFocused = (page, wanted) => until(() => focused(page), (it) => wanted.test(it), `the focus is to be on ${wanted}`);
export const orders = (play) => play.posts.map((it) => [it.path, it.body]);

/** Takes a picture, and holds the page against what every look must be: accessible, no wider than its window, quiet. */
export async function seen(page, complaints, name) {
  await picture(page, name);
  assert.deepEqual(await violations(page), []);
  assert.equal(await sidewaysScroll(page), 0);
  assert.deepEqual(complaints.filter((it) => !refusal(it)), []);
}

/** Something that waits for another, both told from outside. */
export function gate() {
  let pass;
  const passed = new Promise((resolve) => (pass = resolve));
  return { pass, passed };
}

export async function signIn(page, token) {
  await page.locator('input[name=token]').fill(token);
  await page.keyboard.press('Enter');
  await page.getByRole('dialog').waitFor({ state: 'detached' });
}
