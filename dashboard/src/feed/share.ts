// Each backend's share of the traffic, from the last complete seconds of the series.

import type { Pool, Series } from '../wire/types';

/** Long enough to be steady, short enough that a change of weights shows at once. */
const WINDOW_POINTS = 5;

/**
 * Shares between 0 and 1 by backend name; empty when nothing was answered. Seconds before the pool's
 * last change of tier do not count: a backend that lost its traffic must not seem to carry it still.
 */
export function shares(series: Series, pool: Pool): Map<string, number> {
  const points = series.requests.length;
  const changed = Date.parse(pool.since) / 1000;
  const first = Math.max(points - WINDOW_POINTS, Math.ceil((changed - series.start) / series.step_seconds), 0);
  if (first >= points) return expected(pool);
  const sums = new Map<string, number>();
  let total = 0;
  for (const [name, column] of Object.entries(series.backends)) {
    const sum = column.slice(first).reduce<number>((a, b) => a + (b ?? 0), 0);
    sums.set(name, sum);
    total += sum;
  }
  if (total === 0) return new Map();
  for (const [name, sum] of sums) sums.set(name, sum / total);
  return sums;
}

/** In the first second after a change nothing is measured yet, but one active backend carries it all. */
function expected(pool: Pool): Map<string, number> {
  const active = pool.backends.filter((it) => it.active);
  const [only] = active;
  return active.length === 1 && only !== undefined ? new Map([[only.name, 1]]) : new Map();
}
