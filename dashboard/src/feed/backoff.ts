// How long to wait before the next attempt to connect.

const BASE_SECONDS = 0.5;
const MAX_SECONDS = 15;
/** Spreads pages that lost the same proxy, so that they do not all come back at one moment. */
const JITTER = 0.2;

/** Seconds to wait after `failures` failures in a row (1 is the first); `random` is in [0, 1). */
export function backoffSeconds(failures: number, random: number): number {
  const base = Math.min(MAX_SECONDS, BASE_SECONDS * 2 ** Math.min(16, Math.max(0, failures - 1)));
  return Math.min(MAX_SECONDS, Math.max(BASE_SECONDS, base * (1 + JITTER * (2 * random - 1))));
}
