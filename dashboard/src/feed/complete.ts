// The part of a series that is over and will not change.

import type { Column, Series } from '../wire/types';

/** Without the second still under way at `now` (unix seconds), which would read as a drop at the right edge. */
export function complete(series: Series, now: number): Series {
  const points = series.requests.length;
  const whole = Math.min(points, Math.max(0, Math.floor((now - series.start) / series.step_seconds)));
  if (whole === points) return series;
  const cut = (column: Column): Column => column.slice(0, whole);
  return {
    ...series,
    requests: cut(series.requests),
    lost: cut(series.lost),
    rescued: cut(series.rescued),
    p50_seconds: cut(series.p50_seconds),
    p99_seconds: cut(series.p99_seconds),
    backends: Object.fromEntries(Object.entries(series.backends).map(([name, column]) => [name, cut(column)])),
  };
}
