// Each backend's 99th percentile of the last minute, from the histograms that the proxy exports.

import { signal } from '@preact/signals';
import { keyOf } from './key';
import { connection } from './store';
import { token } from './token';

/** Upper bounds in seconds, ascending, and how many attempts took at most so long. */
interface Histogram {
  bounds: number[];
  counts: number[];
}

const METRIC = 'bascule_upstream_duration_seconds_bucket{';
const EVERY_MS = 10_000;
/** While nothing has been read, as at the start. */
const SOON_MS = 1_000;
const SPAN_READINGS = 6;

/** Reads the histograms out of a page of metrics, by pool and backend. */
export function histogramsOf(page: string): Map<string, Histogram> {
  const found = new Map<string, Histogram>();
  for (let at = page.indexOf(METRIC); at >= 0; at = page.indexOf(METRIC, at)) {
    const end = page.indexOf('\n', at);
    const line = page.slice(at + METRIC.length, end < 0 ? undefined : end);
    at = end < 0 ? page.length : end;
    const labels = new Map([...line.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map((it) => [it[1], (it[2] ?? '').replace(/\\(.)/g, '$1')]));
    const key = keyOf(labels.get('pool') ?? '', labels.get('backend') ?? '');
    const bound = labels.get('le');
    const histogram = found.get(key) ?? { bounds: [], counts: [] };
    histogram.bounds.push(bound === '+Inf' ? Infinity : Number(bound));
    histogram.counts.push(Number(line.slice(line.lastIndexOf('}') + 1)));
    found.set(key, histogram);
  }
  return found;
}

/** The value that a part of the attempts between two readings stayed below; null if there were none. */
export function quantile(part: number, now: Histogram, then: Histogram | undefined): number | null {
  const counts = now.counts.map((count, index) => count - (then?.counts[index] ?? 0));
  const all = counts[counts.length - 1] ?? 0;
  if (all <= 0) return null;
  const rank = part * all;
  const index = counts.findIndex((count) => count >= rank);
  const low = index > 0 ? (now.bounds[index - 1] ?? 0) : 0;
  const high = now.bounds[index] ?? Infinity;
  if (high === Infinity) return low;
  const below = index > 0 ? (counts[index - 1] ?? 0) : 0;
  const inside = (counts[index] ?? 0) - below;
  return low + (high - low) * (inside === 0 ? 1 : (rank - below) / inside);
}

/** Null if there was no answer this time. */
async function metrics(): Promise<{ text: string } | 'refused' | null> {
  try {
    const shown = token.peek();
    const headers: Record<string, string> = shown === null ? {} : { authorization: `Bearer ${shown}` };
    const response = await fetch('/api/metrics', { cache: 'no-store', signal: AbortSignal.timeout(4_000), headers });
    if (response.ok) return { text: await response.text() };
    return response.status < 500 ? 'refused' : null;
  } catch {
    return null;
  }
}

/** By key of pool and backend; null while the proxy has not said. */
export const p99s = signal<ReadonlyMap<string, number | null> | null>(null);

/** Asks now and then until the answer is called; not at all where metrics are not to be had. */
export function followPercentiles(): () => void {
  const readings: Map<string, Histogram>[] = [];
  let timer = 0;
  let isOver = false;
  const ask = async (): Promise<void> => {
    const page = document.hidden || connection.peek().kind !== 'live' ? null : await metrics();
    if (isOver) return;
    if (page === 'refused') {
      p99s.value = null;
      return;
    }
    if (page !== null) {
      readings.push(histogramsOf(page.text));
      if (readings.length > SPAN_READINGS + 1) readings.shift();
      const [oldest, newest] = [readings[0], readings[readings.length - 1]];
      if (newest !== undefined) p99s.value = new Map([...newest].map(([key, it]) => [key, quantile(0.99, it, readings.length > 1 ? oldest?.get(key) : undefined)]));
    }
    timer = self.setTimeout(() => void ask(), readings.length === 0 ? SOON_MS : EVERY_MS);
  };
  void ask();
  return () => {
    isOver = true;
    self.clearTimeout(timer);
  };
}
