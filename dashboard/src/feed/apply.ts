// What a frame of the feed makes of what was known: pools and backends by name, incidents by id,
// points by their time. Pure.

import type { Known } from './frames';
import type { Column, FeedFrame, Incident, Pool, Series } from '../wire/types';

/** As many as the page asks for when it polls. */
const INCIDENTS_MAX = 100;

/** Folds a frame in; null when it does not follow on what is known, and all must be asked for anew. */
export function apply(known: Known | null, frame: FeedFrame): Known | null {
  switch (frame.type) {
    case 'snapshot':
      return { seq: frame.seq, health: frame.health, incidents: frame.incidents, series: null };
    case 'change':
      if (known === null || frame.seq !== known.seq + 1) return null;
      return {
        seq: frame.seq,
        health: { ...frame.health, pools: known.health.pools.map((pool) => changed(pool, frame.health.pools)) },
        incidents: withChanged(known.incidents, frame.incidents),
        series: known.series,
      };
    case 'series':
      return known === null ? null : { ...known, series: joined(known.series, frame.series) };
  }
}

function changed(pool: Pool, changes: readonly Pool[]): Pool {
  const change = changes.find((it) => it.name === pool.name);
  if (change === undefined) return pool;
  const backends = new Map(change.backends.map((it) => [it.name, it]));
  return { ...change, backends: pool.backends.map((it) => backends.get(it.name) ?? it) };
}

function withChanged(known: readonly Incident[], changes: readonly Incident[]): Incident[] {
  const ids = new Set(known.map((it) => it.id));
  const fresh = changes.filter((it) => !ids.has(it.id));
  const rest = known.map((it) => changes.find((change) => change.id === it.id) ?? it);
  return [...fresh, ...rest].slice(0, INCIDENTS_MAX);
}

/** Appends points that follow, or overlap, to those that are there; as many stay as there were. */
export function joined(known: Series | null, next: Series): Series {
  if (known === null || known.pool !== next.pool || known.step_seconds !== next.step_seconds) return next;
  const kept = Math.round((next.start - known.start) / known.step_seconds);
  const length = known.requests.length;
  if (kept < 0 || kept > length || next.requests.length >= length) return next;
  const drop = kept + next.requests.length - length;
  const join = (before: Column, after: Column): Column => [...before.slice(0, kept), ...after].slice(Math.max(0, drop));
  const none = (points: number): Column => new Array<number | null>(points).fill(null);
  const names = new Set([...Object.keys(known.backends), ...Object.keys(next.backends)]);
  return {
    ...next,
    start: known.start + Math.max(0, drop) * known.step_seconds,
    requests: join(known.requests, next.requests),
    lost: join(known.lost, next.lost),
    rescued: join(known.rescued, next.rescued),
    p50_seconds: join(known.p50_seconds, next.p50_seconds),
    p99_seconds: join(known.p99_seconds, next.p99_seconds),
    backends: Object.fromEntries(
      [...names].map((name) => [name, join(known.backends[name] ?? none(length), next.backends[name] ?? none(next.requests.length))]),
    ),
  };
}
