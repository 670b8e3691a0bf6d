import { describe, expect, test } from 'vitest';
import { backend, pool, SECONDARY } from '../fixtures';
import type { Problem } from './api';
import {
  bodyOf, canForce, commandOf, differences, doneWords, expectedShare, failbackRefused, failoverRefused, laterTiers, moveBody, moveCommand, pathOf,
  persistWords, quoted, shareWords, undoOf,
} from './ordering';

const problem = (change: Partial<Problem>): Problem => ({ what: 'POST /x', message: 'no', remedy: 'do', status: 409, ...change });

test('an order is sent with what was seen, and nothing more', () => {
  expect(bodyOf({ verb: 'drain' })).toEqual({});
  expect(bodyOf({ verb: 'drain', force: true, expect: { intent: 'enabled' } })).toEqual({ force: true, expect: { intent: 'enabled' } });
  expect(bodyOf({ verb: 'weight', weight: 0 })).toEqual({ weight: 0 });
  expect(bodyOf({ verb: 'eject', length: '5m' })).toEqual({ for: '5m' });
  expect(pathOf('my api', 'a/b', 'drain')).toBe('/api/backends/my%20api/a%2Fb/drain');
  expect(pathOf('api', 'a', 'recover')).toBe('/api/proxy/recover');
});

test('every order has its command', () => {
  expect(commandOf('api', 'a', { verb: 'drain', expect: { intent: 'enabled' } })).toBe('bascule backend drain api/a');
  expect(commandOf('api', 'a', { verb: 'disable', force: true })).toBe('bascule backend disable api/a --force');
  expect(commandOf('api', 'a', { verb: 'weight', weight: 50 })).toBe('bascule backend weight api/a 50');
  expect(commandOf('api', 'a', { verb: 'eject', length: '30s' })).toBe('bascule backend eject api/a --for 30s');
  expect(commandOf('api', 'a', { verb: 'recover' })).toBe('bascule recover api/a');
  expect(commandOf('my api', 'a', { verb: 'undrain' })).toBe("bascule backend undrain 'my api/a'");
  expect(quoted("it's; rm")).toBe("'it'\\''s; rm'");
});

describe('the share that a weight would bring', () => {
  const two = pool({ shares: [1], backends: [backend(), backend({ name: 'b' })] });
  test('goes by the weights of those that may be picked', () => {
    expect(expectedShare(two, backend(), 100)).toBe(0.5);
    expect(expectedShare(two, backend(), 50)).toBeCloseTo(1 / 3);
    expect(expectedShare(two, backend(), 0)).toBe(0);
    expect(expectedShare(pool({ shares: [1], backends: [backend(), backend({ name: 'b', eligible: false })] }), backend(), 7)).toBe(1);
  });
  test('is part of what its tier gets, or unknown', () => {
    expect(expectedShare(pool({ shares: [0.75, 0.25] }), backend(SECONDARY), 100)).toBe(0.25);
    expect(expectedShare(pool({ shares: [] }), backend(), 100)).toBeNull();
    expect(shareWords(pool({ shares: [1, 0] }), backend(SECONDARY), 50)).toBe('Its tier gets no traffic now.');
    expect(shareWords(two, backend(), 0)).toBe('Would get 0\u00a0% of the traffic: a spare.');
    expect(shareWords(two, backend({ eligible: false }), 100)).toBe('Would get 50\u00a0% of the traffic once it is eligible.');
  });
});

test('what was done is taken back only while nobody else has ordered since', () => {
  expect(undoOf({ verb: 'drain' }, backend())).toEqual({ verb: 'undrain', expect: { intent: 'draining' } });
  expect(undoOf({ verb: 'weight', weight: 10 }, backend())).toEqual({ verb: 'weight', weight: 100, expect: { weight: 10 } });
  expect(undoOf({ verb: 'undrain' }, backend())).toBeNull();
});

test('what is done is said, with what it outlives', () => {
  expect(doneWords({ verb: 'drain' }, 'a', 14)).toBe('a is draining; 14 in flight may finish.');
  expect(doneWords({ verb: 'drain' }, 'a', 0)).toBe('a is drained: nothing is in flight.');
  expect(doneWords({ verb: 'eject', length: '30s' }, 'a', 0)).toBe('a is ejected for 30\u00a0s.');
  expect(persistWords({ reload: true, upgrade: true, restart: false })).toBe('Kept through a reload and an upgrade, not through a restart.');
  expect(persistWords({ reload: false, upgrade: false, restart: false })).toBe('Lost with a reload and an upgrade.');
});

test('only what insisting helps against can be forced', () => {
  expect(canForce(problem({ code: 'last_eligible' }))).toBe(true);
  expect(canForce(problem({ code: 'tier_not_able', remedy: 'bring more back, or set `force` to true' }))).toBe(true);
  expect(canForce(problem({ code: 'tier_not_able', remedy: 'bring one back first' }))).toBe(false);
  expect(canForce(problem({ code: 'last_eligible', status: 403 }))).toBe(false);
});

test('of what has changed, the differences are told', () => {
  expect(differences({ intent: 'enabled', weight: 100 }, { intent: 'draining', weight: 100, condition: 'up' })).toEqual([
    { what: 'intent', expected: 'enabled', found: 'draining' },
  ]);
  expect(differences({ active: 'a' }, { active: null })).toEqual([{ what: 'active backend', expected: 'a', found: 'none' }]);
  expect([differences(undefined, {}), differences({ intent: 'enabled' }, null)]).toEqual([[], []]);
});

test('traffic is moved from what was seen to a named tier', () => {
  const move = { verb: 'failover', to: 1, active: 'primary' } as const;
  expect(moveBody(move)).toEqual({ to: 'tier 1', expect: { active: 'primary' } });
  expect(moveBody({ ...move, verb: 'failback', force: true })).toEqual({ expect: { active: 'primary' }, force: true });
  expect(moveCommand('api', move)).toBe("bascule failover api --to 'tier 1' --expect active=primary");
  expect(moveCommand('api', { verb: 'failback', to: 0, active: 'secondary' })).toBe('bascule failback api --expect active=secondary');
});

test('where traffic cannot go, the reason is said', () => {
  expect(failoverRefused(pool())).toBeNull();
  expect(failoverRefused(pool({ active_tier: 1 }))).toBe('api has no later tier');
  expect(failoverRefused(pool({ active_tier: null }))).toBe('nothing serves now');
  expect(failbackRefused(pool())).toBe('the preferred tier serves');
  expect(failbackRefused(pool({ active_tier: 1 }))).toBe('no tier before tier 1 can serve');
  expect(failbackRefused(pool({ active_tier: 1, returnable_tier: 0 }))).toBeNull();
  expect(laterTiers(pool()).map((it) => [it.number, it.eligible.length])).toEqual([[1, 1]]);
});
