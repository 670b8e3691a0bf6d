// Adds the newest seconds to a series that is shown, so that a long one is not asked for again each second.

import type { Column, Series } from '../wire/types';

/**
 * The last `length` points of both; null if they do not fit together: another pool or step, a gap
 * between them, or the newer one begins before the older.
 */
export function merge(older: Series, newer: Series, length: number): Series | null {
  if (older.pool !== newer.pool || older.step_seconds !== newer.step_seconds) return null;
  const kept = (newer.start - older.start) / older.step_seconds;
  if (kept < 0 || !Number.isInteger(kept) || kept > older.requests.length) return null;
  const points = kept + newer.requests.length;
  const first = Math.max(0, points - length);
  const join = (old: Column | undefined, fresh: Column | undefined): Column => {
    const before = old?.slice(Math.min(first, kept), kept) ?? new Array<number>(Math.max(0, kept - first)).fill(0);
    const after = fresh ?? new Array<number>(newer.requests.length).fill(0);
    return before.concat(first > kept ? after.slice(first - kept) : after);
  };
  const names = new Set([...Object.keys(older.backends), ...Object.keys(newer.backends)]);
  return {
    ...newer,
    start: older.start + first * older.step_seconds,
    requests: join(older.requests, newer.requests),
    lost: join(older.lost, newer.lost),
    rescued: join(older.rescued, newer.rescued),
    p50_seconds: join(older.p50_seconds, newer.p50_seconds),
    p99_seconds: join(older.p99_seconds, newer.p99_seconds),
    backends: Object.fromEntries([...names].map((name) => [name, join(older.backends[name], newer.backends[name])])),
  };
}
