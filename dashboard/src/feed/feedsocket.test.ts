import { expect, test } from 'vitest';
import * as fixtures from '../fixtures';
import { apply, joined } from './apply';
import { openFeed } from './feedsocket';
import type { Socket } from './feedsocket';
import type { Known } from './frames';
import { testClock } from './testclock';

const snapshot = (seq: number) => ({ type: 'snapshot', schema: 1, seq, health: fixtures.health(), incidents: [] });
const change = (seq: number, incidents: unknown[] = []) => ({ type: 'change', seq, health: { ...fixtures.health(), pools: [] }, incidents });

function bench() {
  const { world, settle, advance } = testClock();
  const sockets: (Socket & { query: string; said: string[]; closed: boolean })[] = [];
  const heard: string[] = [];
  let latest: Known | null = null;
  const feed = openFeed(
    {
      connect: (query) => {
        const said: string[] = [];
        const socket = { query, said, closed: false, onmessage: null, onclose: null, send: (text: string) => said.push(text), close: () => (socket.closed = true) };
        sockets.push(socket as never);
        return Promise.resolve(socket);
      },
      pool: () => 'api',
      seconds: 30,
      onKnown: (known) => {
        latest = known;
        heard.push(`known ${known.seq}`);
      },
      onDown: () => heard.push('down'),
    },
    world,
  );
  const last = () => sockets[sockets.length - 1]!;
  return {
    feed, sockets, heard, last, settle,
    latest: () => latest,
    say: (frame: unknown) => last().onmessage?.({ data: JSON.stringify(frame) }),
    advance,
  };
}

test('a reader asks for what it missed after a break', async () => {
  const it = bench();
  await it.settle();
  expect(it.last().query).toBe('seconds=30&pool=api');
  it.say(snapshot(7));
  it.say(change(8, [fixtures.incident()]));
  it.last().onclose?.();
  expect(it.heard).toEqual(['known 7', 'known 8', 'down']);
  await it.advance(500);
  expect(it.last().query).toBe('seconds=30&pool=api&after=8');
  it.say(change(9));
  expect(it.latest()?.incidents.map((incident) => incident.id)).toEqual(['api-1']);
});

test('a gap, nonsense and silence end the connection', async () => {
  for (const trouble of [change(9), { type: 'other' }, 'text']) {
    const it = bench();
    await it.settle();
    it.say(snapshot(7));
    it.say(trouble);
    expect(it.heard).toEqual(['known 7', 'down']);
    expect(it.last().closed).toBe(true);
    await it.advance(500);
    expect(it.last().query).not.toContain('after');
  }
  const it = bench();
  await it.settle();
  it.say(snapshot(7));
  await it.advance(5_000);
  expect(it.heard).toEqual(['known 7', 'down']);
});

test('one that is refused asks rarely, and at once when told', async () => {
  const it = bench();
  await it.settle();
  it.last().onclose?.();
  await it.advance(7_000);
  expect(it.sockets.length).toBe(1);
  it.feed.now();
  expect(it.sockets.length).toBe(2);
});

test('a change is of the pools and backends that it names', () => {
  const before = apply(null, { type: 'snapshot', seq: 1, health: fixtures.health(), incidents: [] })!;
  const pool = before.health.pools[0]!;
  const backend = { ...pool.backends[0]!, in_flight: 99 };
  const health = { ...before.health, pools: [{ ...pool, status: 'degraded' as const, backends: [backend] }] };
  const after = apply(before, { type: 'change', seq: 2, health, incidents: [] })!;
  expect(after.health.pools[0]!.status).toBe('degraded');
  expect(after.health.pools[0]!.backends.map((it) => it.name)).toEqual(pool.backends.map((it) => it.name));
  expect(after.health.pools[0]!.backends[0]!.in_flight).toBe(99);
});

test('points that follow are appended, and as many stay as there were', () => {
  const known = fixtures.series();
  const next = { ...known, start: known.start + 3, requests: [5], lost: [0], rescued: [0], p50_seconds: [null], p99_seconds: [null], backends: { primary: [5], third: [1] } };
  const found = joined(known, next);
  expect(found.start).toBe(known.start + 1);
  expect(found.requests).toEqual([10, 4, 5]);
  expect(found.backends).toEqual({ primary: [0, 0, 5], secondary: [10, 4, null], third: [null, null, 1] });
  expect(joined(known, { ...next, start: known.start + 9 }).requests).toEqual([5]);
  expect(joined(known, { ...next, pool: 'other' }).requests).toEqual([5]);
});
