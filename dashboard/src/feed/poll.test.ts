import { expect, test, vi } from 'vitest';
import * as fixtures from '../fixtures';
import type { Answer } from './api';
import { backoffSeconds } from './backoff';
import { startPoll } from './poll';
import type { Sink, Source } from './poll';
import { testClock } from './testclock';
import type { Health } from '../wire/types';

const PROBLEM = { what: 'GET /x', message: 'no connection', remedy: 'start it', status: null };

function bench(answers: () => Promise<Answer<Health>>, onHealth = (): void => {}) {
  const { world, settle, advance } = testClock();
  const heard: string[] = [];
  let asked = 0;
  const source: Source = {
    health: () => {
      asked += 1;
      return answers();
    },
    incidents: async () => ({ ok: true, value: [] }),
    series: () => null,
  };
  const sink: Sink = {
    health: () => {
      heard.push('health');
      onHealth();
    },
    incidents: () => heard.push('incidents'),
    series: () => heard.push('series'),
    lost: (_, retryAt) => heard.push(`lost until ${retryAt}`),
    trying: () => heard.push('trying'),
  };
  return {
    heard,
    poll: startPoll(source, sink, world),
    asked: () => asked,
    settle,
    advance,
  };
}

test('asks once a second', async () => {
  const it = bench(async () => ({ ok: true, value: fixtures.health() }));
  await it.settle();
  expect(it.heard).toEqual(['health', 'incidents']);
  await it.advance(999);
  expect(it.asked()).toBe(1);
  await it.advance(1);
  expect(it.asked()).toBe(2);
});

test('never asks twice at once, however slow the answer and however often it is told to', async () => {
  const it = bench(() => new Promise(() => {}));
  await it.settle();
  it.poll.now();
  await it.advance(60_000);
  it.poll.now();
  await it.advance(1);
  expect(it.asked()).toBe(1);
});

test('backs off while nobody answers, and comes back at once when told', async () => {
  let alive = false;
  const it = bench(async () => (alive ? { ok: true, value: fixtures.health() } : { ok: false, problem: PROBLEM }));
  await it.settle();
  await it.advance(500);
  await it.advance(1000);
  expect(it.heard).toEqual(['lost until 500', 'trying', 'lost until 1500', 'trying', 'lost until 3500']);
  alive = true;
  it.poll.now();
  await it.advance(0);
  expect(it.heard.slice(-3)).toEqual(['trying', 'health', 'incidents']);
});

test('goes on asking after an answer could not be shown', async () => {
  const complaint = vi.spyOn(console, 'error').mockImplementation(() => {});
  let shown = 0;
  const it = bench(async () => ({ ok: true, value: fixtures.health() }), () => {
    shown += 1;
    if (shown === 1) throw new Error('drawing failed');
  });
  await it.settle();
  await it.advance(1_000);
  expect(shown).toBe(2);
  expect(complaint).toHaveBeenCalledOnce();
  complaint.mockRestore();
});

test('says nothing more once stopped', async () => {
  const it = bench(async () => ({ ok: true, value: fixtures.health() }));
  it.poll.stop();
  await it.settle();
  await it.advance(5_000);
  expect(it.heard).toEqual([]);
  expect(it.asked()).toBe(1);
});

test('waits grow from half a second to fifteen, spread by chance', () => {
  expect([1, 2, 3, 4, 5, 6, 7, 60].map((it) => backoffSeconds(it, 0.5))).toEqual([0.5, 1, 2, 4, 8, 15, 15, 15]);
  expect(backoffSeconds(3, 0)).toBeCloseTo(1.6);
  expect(backoffSeconds(3, 0.999)).toBeCloseTo(2.4, 1);
  for (let failures = 1; failures < 100; failures += 1) {
    for (const random of [0, 0.25, 0.5, 0.99]) {
      expect(backoffSeconds(failures, random)).toBeGreaterThanOrEqual(0.5);
      expect(backoffSeconds(failures, random)).toBeLessThanOrEqual(15);
    }
  }
});
