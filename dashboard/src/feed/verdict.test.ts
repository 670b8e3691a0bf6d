import { expect, test } from 'vitest';
import { backend, pool, SECONDARY, T } from '../fixtures';
import { clock } from '../format';
import { othersInNeed, tabTone, title, toneOf, verdict, worst } from './verdict';

const at = clock(Date.parse(T));
const refused = { state: 'down', eligible: false, active: false, reason: 'connection refused' } as const;
const minute = pool().last_minute;
const failedOver = pool({
  status: 'failed_over', active_tier: 1, active_backend: 'secondary',
  last_minute: { ...minute, rescued: 5 },
  backends: [backend(refused), backend({ ...SECONDARY, active: true })],
});
const down = pool({ status: 'down', active_tier: null, active_backend: null, backends: [backend(refused), backend({ ...SECONDARY, ...refused })], last_minute: { ...minute, lost: 1 } });

test('serving says who and since when', () => {
  expect(verdict(pool())).toEqual({ tone: 'good', word: 'Serving', sentence: `Serving from primary since ${at}.`, cost: '0 lost requests in the last minute.' });
});

test('a failover says who took over and why', () => {
  const said = verdict(failedOver);
  expect(said.sentence).toBe(`Serving from secondary since ${at}; primary is down: connection refused.`);
  expect(said.cost).toBe('0 lost requests, 5 rescued in the last minute.');
  expect([said.tone, said.word]).toEqual(['moved', 'Failed over']);
});

test('nothing left to serve names all that share the trouble', () => {
  expect(verdict(down).sentence).toBe(`Nothing can serve since ${at}: primary and secondary are down: connection refused.`);
  expect(verdict(down).cost).toBe('1 lost request in the last minute.');
  expect(verdict(down).tone).toBe('bad');
});

test('every state has words', () => {
  const ailing = pool({
    status: 'degraded',
    backends: [backend(), backend({ name: 'b', state: 'failing', eligible: true, reason: 'timeout' }), backend({ name: 'c', state: 'unknown', eligible: false }), backend({ name: 'd', state: 'ejected', eligible: false, ejected_until: T })],
  });
  expect(verdict(ailing).sentence).toContain('b is failing: timeout; c is not checked yet; 1 more.');
});

test('what operators want is told apart from what is wrong', () => {
  const drained = backend({ name: 'b', intent: 'draining', eligible: false, active: false, in_flight: 14 });
  const planned = pool({ status: 'degraded', backends: [backend(), drained] });
  expect(verdict(planned)).toMatchObject({ tone: 'moved', word: 'Maintenance', sentence: `Serving from primary since ${at}; b is draining, 14 left.` });
  expect(verdict(pool({ status: 'degraded', backends: [backend(), { ...drained, in_flight: 0 }] })).sentence).toContain('b is drained.');
  expect(verdict(pool({ status: 'degraded', backends: [backend(), { ...drained, intent: 'disabled', state: 'down' }] })).sentence).toContain('b is disabled by an operator.');
  const alsoBroken = pool({ status: 'degraded', backends: [backend(), drained, backend({ name: 'c', ...refused })] });
  expect(verdict(alsoBroken)).toMatchObject({ tone: 'warn', word: 'Degraded' });
});

test('a pool held on a tier says who holds it', () => {
  expect(verdict({ ...failedOver, held_tier: 1, backends: [backend({ active: false }), backend({ ...SECONDARY, active: true })] })).toMatchObject({
    tone: 'moved', word: 'Held', sentence: `Serving from secondary since ${at}, held on tier 1 by an operator.`,
  });
});

test('an injected fault is never shown as good', () => {
  const fault = { mode: 'slow', scope: 'all', percent: 10, status: null, delay_min_seconds: 3, delay_max_seconds: 3, ends_at: T, remaining_seconds: 30 };
  expect(verdict(pool({ backends: [backend({ fault }), backend(SECONDARY)] }))).toMatchObject({ tone: 'warn', word: 'Fault injected', sentence: `Serving from primary since ${at}; primary is failing on purpose (slow).` });
});

test('failing open and having nobody are as bad as down', () => {
  expect(verdict({ ...down, failing_open: true })).toMatchObject({ tone: 'bad', word: 'Failing open' });
  expect(verdict({ ...down, failing_open: true }).sentence).toBe(`No backend is eligible since ${at}; requests are sent to any of them all the same. primary and secondary are down: connection refused.`);
  expect(verdict(pool({ backends: [] }))).toMatchObject({ tone: 'bad', word: 'No backends', sentence: 'Pool api has no backends: every request to it is lost.' });
});

test('a process that wants no traffic says so in the tab', () => {
  expect(title([pool()], null, false)).toBe('Not ready · Serving · primary · Bascule');
  expect([tabTone([pool()], true), tabTone([pool()], false), tabTone([down], false), tabTone([], true)]).toEqual(['good', 'moved', 'bad', 'off']);
});

test('several active backends are all named', () => {
  expect(verdict(pool({ backends: [backend(), backend({ name: 'b' })] })).sentence).toContain('Serving from primary and b since');
});

test('without requests nothing is claimed about them', () => {
  expect(verdict(pool({ last_minute: { ...minute, requests: 0 } })).cost).toBe('No requests in the last minute.');
});

test('lost requests are never shown as good', () => {
  expect(toneOf(pool({ last_minute: { ...minute, lost: 1 } }))).toBe('warn');
});

test('the tab tells the worst, state first', () => {
  expect(title([pool()], null)).toBe('Serving · primary · Bascule');
  expect(title([failedOver], null)).toBe('Failed over · secondary · Bascule');
  expect(title([pool(), { ...down, name: 'search' }], null)).toBe('search: Down · Bascule');
  expect(title([pool()], 12)).toBe('Not connected (12\u00a0s) · Bascule');
  expect(title([], null)).toBe('Bascule');
  expect(worst([pool(), down])).toBe(down);
  expect(othersInNeed([pool(), failedOver, { ...down, name: 'search' }], 'api').map((it) => it.name)).toEqual(['search']);
});
