// Which row of the log has the focus, and the way from match to match.

import { signal } from '@preact/signals';
import { hasNeedle, hits, pause } from '../feed/log';

/** The row that keys act on, by its number. */
export const focusedRow = signal<number | null>(null);
/** Grows when the focused row is to be brought into sight. */
export const sightings = signal(0);

/** Goes to the next match, or the one before; from the end to the beginning. False where there is none. */
export function jump(by: 1 | -1): boolean {
  const found = hits.value;
  if (!hasNeedle.value || found.length === 0) return false;
  pause();
  const at = focusedRow.value;
  const last = found.length - 1;
  let index: number;
  if (at === null) index = last;
  else if (by > 0) index = found.findIndex((row) => row.n > at);
  else index = found.findLastIndex((row) => row.n < at);
  if (index < 0) index = by > 0 ? 0 : last;
  focusedRow.value = found[index]?.n ?? null;
  sightings.value += 1;
  return true;
}
