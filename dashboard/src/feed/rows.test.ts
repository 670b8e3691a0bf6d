import { expect, test } from 'vitest';
import { backend, health, pool } from '../fixtures';
import { chosenRows, resorted, tiersOf } from './rows';
import type { Row, TableChoice } from './rows';
import { Tally } from './tally';

const row = (name: string, change: Partial<Row['backend']> = {}, share = 0): Row => ({ backend: backend({ name, ...change }), share, minute: { requests: 0, failures: 0 }, p99: null });
const rows = [row('b-10', { tier: 1, active: false }), row('b-2', { state: 'down', eligible: false, reason: 'connection refused' }), row('b-1', { intent: 'draining' }, 0.7)];
const all: TableChoice = { sort: null, isDescending: false, text: '', only: 'all' };
const names = (choice: Partial<TableChoice>): string[] => chosenRows(rows, { ...all, ...choice }).map((it) => it.backend.name);

test('rows keep the order of the pool until another is chosen', () => {
  expect(names({})).toEqual(['b-2', 'b-1', 'b-10']);
  expect(names({ sort: 'name' })).toEqual(['b-1', 'b-2', 'b-10']);
  expect(names({ sort: 'name', isDescending: true })).toEqual(['b-10', 'b-2', 'b-1']);
  expect(names({ sort: 'health' })).toEqual(['b-2', 'b-10', 'b-1']);
  expect(names({ sort: 'share', isDescending: true })[0]).toBe('b-1');
});

test('rows are found by what they say', () => {
  expect(names({ text: 'REFUSED b' })).toEqual(['b-2']);
  expect(names({ only: 'trouble' })).toEqual(['b-2', 'b-1']);
  expect(names({ only: 'serving', text: 'b-1' })).toEqual(['b-1']);
});

test('a heading sorts, turns round, and lets go', () => {
  const once = resorted(all, 'share');
  const twice = resorted({ ...all, ...once }, 'share');
  expect([once, twice, resorted({ ...all, ...twice }, 'share')]).toEqual([
    { sort: 'share', isDescending: true }, { sort: 'share', isDescending: false }, { sort: null, isDescending: false },
  ]);
  expect(resorted({ ...all, ...once }, 'name')).toEqual({ sort: 'name', isDescending: false });
});

test('tiers are summed', () => {
  const two = pool({ backends: rows.map((it) => it.backend) });
  expect(tiersOf(two, rows)).toEqual([
    { tier: 0, backends: 2, eligible: 1, isActive: true, share: 0.7 },
    { tier: 1, backends: 1, eligible: 1, isActive: false, share: 0 },
  ]);
});

test('a minute is the difference of counters, and a restart begins anew', () => {
  const tally = new Tally();
  const at = (second: number, requests: number, failures: number, started_at = 'a') => tally.read(health({ started_at, now: new Date(second * 1000).toISOString(), pools: [pool({ backends: [backend({ requests, failures })] })] }));
  at(0, 100, 1);
  expect(tally.of('api', 'primary')).toBeNull();
  for (let second = 1; second <= 90; second += 1) at(second, 100 + second * 10, second > 80 ? 3 : 1);
  expect(tally.of('api', 'primary')).toEqual({ requests: 600, failures: 2 });
  at(91, 5, 0, 'b');
  at(92, 9, 0, 'b');
  expect(tally.of('api', 'primary')).toEqual({ requests: 4, failures: 0 });
});
