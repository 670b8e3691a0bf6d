// What the tests of what operators do have in common: a mock that is played with, and where on the page
// an order is given.

import assert from 'node:assert/strict';
import { createMock } from '../mock/server.mjs';
import { DIST, picture, sidewaysScroll, violations } from './browser.mjs';

export async function playing(scenario, body) {
  const mock = createMock({ scenario, dist: DIST });
  const url = await mock.listen(Number(process.env.MOCK_PORT ?? 0));
  try {
    await body(url, mock.play);
  } finally {
    await mock.close();
  }
}

/** The browser's own word for an answer that says no, which is what these tests ask for. */
export const refusal = (text) => /Failed to load resource: the server responded with a status of (401|403|409|422|429)|WebSocket connection/.test(text);

export const LOOKS = ['light', 'dark'].flatMap((scheme) => ['desk', 'phone'].map((device) => ({ scheme, device })));
export const card = (page, name) => page.locator(`article[data-backend="${name}"]`);
export const act = (page, name, label) => card(page, name).getByRole('button', { name: new RegExp(`^${label} ${name}(,|$)`) });
export const focused = (page) => page.evaluate(() => document.activeElement?.getAttribute('aria-label') ?? document.activeElement?.textContent ?? '');
export const orders = (play) => play.posts.map((it) => [it.path, it.body]);

export async function seen(page, complaints, name) {
  await picture(page, name);
  assert.deepEqual(await violations(page), []);
  assert.equal(await sidewaysScroll(page), 0);
  assert.deepEqual(complaints.filter((it) => !refusal(it)), []);
}
