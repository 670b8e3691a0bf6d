// Which stretch of time the page looks at: a range that ends now, or a part of one, chosen by the brush.

import { computed } from '@preact/signals';
import { param, setParams } from '../route';

type RangeName = '15m' | '1h' | '24h';

export const RANGES: readonly { name: RangeName; seconds: number; says: string; short: string }[] = [
  { name: '15m', seconds: 900, says: '15 minutes', short: '15 m' },
  { name: '1h', seconds: 3_600, says: '1 hour', short: '1 h' },
  { name: '24h', seconds: 86_400, says: '24 hours', short: '24 h' },
];

/** What can be told apart: less than this is not zoomed into. */
export const WINDOW_MIN_SECONDS = 10;
const WINDOW_MAX_SECONDS = 86_400;

interface Zoom {
  /** Unix seconds. */
  from: number;
  to: number;
}

export function rangeOf(name: string | null): (typeof RANGES)[number] {
  return RANGES.find((it) => it.name === name) ?? (RANGES[0] as (typeof RANGES)[number]);
}

export function zoomOf(from: string | null, to: string | null): Zoom | null {
  if (from === null || to === null) return null;
  const zoom = { from: Math.floor(Number(from)), to: Math.ceil(Number(to)) };
  const length = zoom.to - zoom.from;
  return zoom.from > 0 && length >= WINDOW_MIN_SECONDS && length <= WINDOW_MAX_SECONDS ? zoom : null;
}

export const range = computed(() => rangeOf(param('range')));
export const zoom = computed(() => zoomOf(param('from'), param('to')));

export function chooseRange(name: RangeName): void {
  setParams({ range: name === '15m' ? null : name, from: null, to: null });
}

/** Looks at a part; at least as much as can be told apart, around its middle. */
export function zoomTo(from: number, to: number): void {
  const missing = Math.max(0, WINDOW_MIN_SECONDS - (to - from)) / 2;
  setParams({ from: String(Math.floor(from - missing)), to: String(Math.ceil(to + missing)) });
}

export function zoomOut(): void {
  setParams({ from: null, to: null });
}
