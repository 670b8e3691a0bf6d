// The page against a running Bascule: fails the active backend by pressing the button, sees the
// verdict change, the incident appear and the backend come back, and takes the pictures.
// BASCULE_DASHBOARD_URL names the page, as `bascule demo` prints it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { drawn, launch, LOOKS, open, picture, RESULTS, sidewaysScroll, tellFirstPaints, untilSentence, violations } from './browser.mjs';

const url = process.env.BASCULE_DASHBOARD_URL?.replace(/\/+$/, '');
const skip = url === undefined ? 'BASCULE_DASHBOARD_URL is not set; start `bascule demo` and give the address of its page' : false;

/** A switch that takes longer than this to reach the page is a failure of the product. */
const SWITCH_MS = 10_000;
/** Restart of the backend, its health checks, the hold-down before failback. */
const RETURN_MS = Number(process.env.BASCULE_RETURN_MS ?? 150_000);

async function json(path) {
  const response = await fetch(url + path);
  assert.equal(response.status, 200, path);
  return response.json();
}

/** The same moment in every look; for the desk also what fits the window. */
async function pictures(views, moment) {
  await Promise.all(
    views.map(async ({ page, scheme, device }) => {
      if (device === 'desk') await page.screenshot({ path: `${RESULTS}/real-${moment}-${scheme}-fold.png` });
      await picture(page, `real-${moment}-${scheme}-${device}`);
    }),
  );
}

test('a failover of the real proxy is asked for, seen, recorded and recovered from', { skip, timeout: RETURN_MS + 120_000 }, async (t) => {
  const browser = await launch();
  t.after(() => browser.close());
  const views = [];
  for (const look of LOOKS) views.push({ ...look, ...(await open(browser, url, look)) });
  const { page, heard } = views[0];

  // A failover that is still under way from before is let finish.
  await page.waitForFunction(() => document.title.startsWith('Serving'), undefined, { timeout: RETURN_MS });
  await tellFirstPaints(browser, url);
  const before = await untilSentence(page, /^Serving from \S+ since .* in the last minute\.$/, 30_000);
  const active = /^Serving from (\S+)/.exec(before)[1];
  const known = (await json('/api/incidents')).incidents.map((it) => it.id);
  await heard(4);
  await page.locator('.log-row').first().waitFor();
  await pictures(views, 'before');

  await page.getByRole('button', { name: `Fail ${active}` }).click();
  await page.getByRole('dialog').waitFor();
  await page.screenshot({ path: `${RESULTS}/real-dialog-light-desk.png` });
  const pressed = Date.now();
  await page.getByRole('dialog').getByRole('button', { name: `Fail ${active}` }).click();
  const during = await untilSentence(page, new RegExp(`^Serving from (?!${active} )\\S+ since`), SWITCH_MS);
  const seconds = (Date.now() - pressed) / 1000;
  console.log(`# the verdict changed ${seconds.toFixed(1)} s after the press: ${during}`);

  const incident = page.locator('[data-incident]').first();
  await page.waitForFunction((ids) => !ids.includes(document.querySelector('[data-incident]')?.dataset.incident), [...known, undefined], { timeout: SWITCH_MS });
  const id = await incident.getAttribute('data-incident');
  for (const step of [0, 1, 2]) await incident.locator(`.step-${step}.done`).waitFor({ timeout: SWITCH_MS });
  await page.waitForFunction(() => document.title.startsWith('Failed over'));
  await pictures(views, 'during');

  await incident.locator('.step-3.done').waitFor({ timeout: RETURN_MS });
  await untilSentence(page, new RegExp(`^Serving from ${active} since`), RETURN_MS);
  await heard(3);
  await pictures(views, 'after');

  const record = await json(`/api/incidents/${encodeURIComponent(id)}`);
  console.log(`# ${id}: detection ${record.detection_seconds} s, switch ${record.switch_seconds} s, ${JSON.stringify(record.requests)}`);
  assert.equal(record.backend, active);
  assert.equal(record.requested, true);
  assert.equal(record.requests.lost, 0, 'a request was lost');
  assert.ok(record.requests.total > 0, 'no request ran during the failover');

  for (const { page: shown, scheme, device, complaints } of views) {
    await shown.goto(`${url}/#/incident/${id}`);
    await shown.getByRole('heading', { name: `Incident ${id}` }).waitFor();
    await drawn(shown);
    await picture(shown, `real-incident-${scheme}-${device}`);
    assert.deepEqual(await violations(shown), [], `${scheme}, ${device}`);
    assert.equal(await sidewaysScroll(shown), 0, `${scheme}, ${device}`);
    assert.deepEqual(complaints, [], `${scheme}, ${device}`);
  }
});
