// Turns the wire's series, pool and incidents into what the charts draw. Pure.

import type { Column, Incident, Series } from '../wire/types';
import type { Band } from './bands';

export function timesOf(series: Series): number[] {
  return series.requests.map((_, index) => series.start + index * series.step_seconds);
}

/** Share of requests lost in each step; null where there were none to lose. */
export function errorRatios(series: Series): (number | null)[] {
  return series.requests.map((requests, index) => (requests !== null && requests > 0 ? Math.min(1, (series.lost[index] ?? 0) / requests) : null));
}

/** Requests per second, whatever the step. */
export function perSecond(column: Column, step: number): Column {
  return step === 1 ? column : column.map((it) => (it === null ? null : it / step));
}

/** From the first suspicion until traffic is back where it was; still open ones reach to `now`. */
export function bandsOf(incidents: readonly Incident[], pool: string, now: number): Band[] {
  return incidents
    .filter((it) => it.pool === pool)
    .map((it) => {
      const window = { from: seconds(it.window.from), to: it.window.to === null ? now : seconds(it.window.to) };
      const { suspected_at, recovered_at, failed_back_at } = it.moments;
      const over = failed_back_at ?? (it.state === 'closed' ? (recovered_at ?? it.window.to) : null);
      return { from: seconds(suspected_at), to: over === null ? now : seconds(over), window, label: it.id };
    });
}

function seconds(at: string): number {
  return Date.parse(at) / 1000;
}

export interface TableRow {
  /** Unix seconds of the first point in the row. */
  at: number;
  requests: number;
  lost: number;
  rescued: number;
  /** The worst second of the row: percentiles cannot be averaged. */
  p50: number | null;
  p99: number | null;
  backends: number[];
}

/** Seconds a row of the table stands for, so that a table has a hundred rows at most. */
export function rowSeconds(span: number): number {
  return [10, 60, 300, 900].find((it) => span / it <= 100) ?? 3600;
}

/** The same numbers for readers of tables, newest first; a row without requests because the proxy did not run is left out. */
export function tableRows(series: Series, length: number, from = 0): TableRow[] {
  const rows = new Map<number, TableRow>();
  const columns = Object.values(series.backends);
  timesOf(series).forEach((time, index) => {
    if (time < from || series.requests[index] === null) return;
    const at = Math.floor(time / length) * length;
    const row = rows.get(at) ?? { at, requests: 0, lost: 0, rescued: 0, p50: null, p99: null, backends: columns.map(() => 0) };
    row.requests += series.requests[index] ?? 0;
    row.lost += series.lost[index] ?? 0;
    row.rescued += series.rescued[index] ?? 0;
    row.p50 = highest(row.p50, series.p50_seconds[index] ?? null);
    row.p99 = highest(row.p99, series.p99_seconds[index] ?? null);
    columns.forEach((column, it) => (row.backends[it] = (row.backends[it] ?? 0) + (column[index] ?? 0)));
    rows.set(at, row);
  });
  return [...rows.values()].reverse();
}

export function highest(a: number | null, b: number | null): number | null {
  if (a === null) return b;
  return b === null ? a : Math.max(a, b);
}

export function maximum(column: Column): number | null {
  return column.reduce(highest, null);
}

export function total(column: Column): number {
  return column.reduce<number>((a, b) => a + (b ?? 0), 0);
}
