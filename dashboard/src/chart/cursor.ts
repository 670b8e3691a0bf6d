// The one moment that all charts and bands point at, and the brush that chooses a part of the time.

import { signal } from '@preact/signals';

/** Unix seconds under the pointer; null while it is elsewhere. */
export const cursorAt = signal<number | null>(null);

/** The index of the point at or before a moment; the last one when there is no moment. Times ascend. */
export function indexAt(times: readonly number[], at: number | null): number {
  if (at === null) return times.length - 1;
  let low = 0;
  let high = times.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((times[middle] ?? Infinity) <= at) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
