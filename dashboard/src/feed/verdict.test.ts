import { expect, test } from 'vitest';
import { backend, pool, SECONDARY, T } from '../fixtures';
import { clock } from '../format';
import { othersInNeed, title, toneOf, verdict, worst } from './verdict';

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
  expect(verdict(ailing).sentence).toContain('b is failing: timeout; c is not checked yet; 1 more problem.');
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
