// Icons as shapes that differ without colour. Decorative: the word beside them carries the meaning.

import type { Tone } from '../feed/verdict';
import type { BackendState, LogLevel } from '../wire/types';

const PATHS = {
  check: 'M8 1.2a6.8 6.8 0 1 0 0 13.6A6.8 6.8 0 0 0 8 1.2Zm3.6 5L7.5 10.9a.8.8 0 0 1-1.2 0L4.4 8.8l1.2-1.1 1.3 1.5 3.5-4.1 1.2 1.1Z',
  triangle: 'M8.9 1.9a1 1 0 0 0-1.8 0L.9 13.1a1 1 0 0 0 .9 1.5h12.4a1 1 0 0 0 .9-1.5L8.9 1.9ZM7.2 5.6h1.6v4.2H7.2V5.6Zm0 5.4h1.6v1.7H7.2V11Z',
  octagon: 'M5.1 1h5.8L15 5.1v5.8L10.9 15H5.1L1 10.9V5.1L5.1 1Zm.9 3.9L4.9 6l2 2-2 2L6 11.1l2-2 2 2 1.1-1.1-2-2 2-2L10 4.9l-2 2-2-2Z',
  eject: 'M8 2.2 14 9H2l6-6.8ZM2 11h12v2.4H2V11Z',
  question: 'M8 1.2a6.8 6.8 0 1 0 0 13.6A6.8 6.8 0 0 0 8 1.2Zm-.8 9.9h1.6v1.6H7.2v-1.6Zm.1-1.3c0-1.6.6-2 1.3-2.5.6-.4.9-.7.9-1.2 0-.8-.6-1.3-1.5-1.3-.8 0-1.4.5-1.7 1.3l-1.4-.6A3.2 3.2 0 0 1 8 3.4c1.8 0 3.1 1.1 3.1 2.7 0 1.2-.7 1.9-1.4 2.4-.6.4-.9.6-.9 1.3H7.3Z',
  swap: 'M10.2 1.6 14.6 5l-4.4 3.4V6H2V4h8.2V1.6ZM5.8 7.6V10H14v2H5.8v2.4L1.4 11l4.4-3.4Z',
  plug: 'M1.6 2.7 2.7 1.6l11.7 11.7-1.1 1.1-2.5-2.5a4.6 4.6 0 0 1-2 .8V15H7.2v-2.3A4.6 4.6 0 0 1 3.3 8V5h.6L1.6 2.7ZM5 1h1.6v3H5.9L5 3.1V1Zm4.4 0H11v4h1.7v3c0 .7-.1 1.3-.4 1.9L7.8 5h1.6V1Z',
  bolt: 'M9.4.8 2.6 9.2h4.1l-1 6 7-8.6H8.5l.9-5.8Z',
  arrow: 'M9 2.8 14.2 8 9 13.2 7.9 12l3.2-3.2H2V7.2h9.1L7.9 4 9 2.8Z',
  back: 'M7 2.8 1.8 8 7 13.2 8.1 12 4.9 8.8H14V7.2H4.9L8.1 4 7 2.8Z',
  clock: 'M8 1.2a6.8 6.8 0 1 0 0 13.6A6.8 6.8 0 0 0 8 1.2Zm.8 2.6v3.9l2.7 1.6-.8 1.3-3.5-2V3.8h1.6Z',
  diamond: 'M8 1l7 7-7 7-7-7 7-7Z',
  ring: 'M8 1.2a6.8 6.8 0 1 0 0 13.6A6.8 6.8 0 0 0 8 1.2Zm0 2a4.8 4.8 0 1 1 0 9.6 4.8 4.8 0 0 1 0-9.6Z',
  dot: 'M8 4.2a3.8 3.8 0 1 0 0 7.6 3.8 3.8 0 0 0 0-7.6Z',
  pause: 'M4 2.5h2.8v11H4v-11Zm5.2 0H12v11H9.2v-11Z',
  play: 'M4 2.2 13.4 8 4 13.8V2.2Z',
  search: 'M7 1.5a5.5 5.5 0 1 0 3.2 10l3.4 3.3 1.1-1.1-3.3-3.4A5.5 5.5 0 0 0 7 1.5Zm0 1.7a3.8 3.8 0 1 1 0 7.6 3.8 3.8 0 0 1 0-7.6Z',
  sun: 'M8 4.8a3.2 3.2 0 1 0 0 6.4 3.2 3.2 0 0 0 0-6.4ZM7.3.8h1.4v2.4H7.3V.8Zm0 12h1.4v2.4H7.3v-2.4ZM.8 7.3h2.4v1.4H.8V7.3Zm12 0h2.4v1.4h-2.4V7.3ZM2.4 3.4l1-1 1.7 1.7-1 1-1.7-1.7Zm8.5 8.5 1-1 1.7 1.7-1 1-1.7-1.7Zm0-7.8 1.7-1.7 1 1-1.7 1.7-1-1ZM2.4 12.6l1.7-1.7 1 1-1.7 1.7-1-1Z',
  moon: 'M6.3 1.6a6.6 6.6 0 1 0 8.1 8.1A5.6 5.6 0 0 1 6.3 1.6Z',
  system: 'M1.5 2.5h13v8.6h-13V2.5Zm1.6 1.6v5.4h9.8V4.1H3.1ZM5 12.3h6v1.4H5v-1.4Z',
  chevron: 'M5.6 2.9 10.7 8l-5.1 5.1-1.1-1.1 4-4-4-4 1.1-1.1Z',
  refresh: 'M8 2a6 6 0 0 1 4.9 2.5V2.2h1.6v5.2H9.3V5.8h2.6A4.4 4.4 0 1 0 12.4 9l1.5.6A6 6 0 1 1 8 2Z',
  copy: 'M5 1.5h9v10h-2.6V14H2V4h3V1.5Zm1.5 1.4V10h6V2.9h-6ZM5 5.5H3.5v7h6.4v-1H5v-6Z',
  save: 'M7.2 1.5h1.6v6.6l2.3-2.3 1.1 1.1L8 11.1 3.8 6.9l1.1-1.1 2.3 2.3V1.5ZM2.2 12.4h11.6V14H2.2v-1.6Z',
  bin: 'M6 1.5h4v1.3h4v1.5H2V2.8h4V1.5ZM3.2 5.5h9.6l-.7 9H3.9l-.7-9Zm1.7 1.5.4 6h5.4l.4-6H4.9Z',
  up: 'M8 4.2 14 10.4l-1.2 1.2L8 6.6l-4.8 5L2 10.4 8 4.2Z',
  down: 'M8 11.8 2 5.6l1.2-1.2L8 9.4l4.8-5L14 5.6 8 11.8Z',
  person: 'M8 1.8a3.1 3.1 0 1 0 0 6.2 3.1 3.1 0 0 0 0-6.2ZM2.4 14.2c0-3 2.5-4.8 5.6-4.8s5.6 1.8 5.6 4.8H2.4Z',
  keys: 'M1 3.5h14v9H1v-9Zm1.5 1.5v6h11V5h-11ZM4 6.2h1.5v1.5H4V6.2Zm2.6 0h1.5v1.5H6.6V6.2Zm2.6 0h1.5v1.5H9.2V6.2Zm2.3 0h1v3.3h-1V6.2ZM4.6 8.6h5.6v1.3H4.6V8.6Z',
  more: 'M2.6 6.4a1.6 1.6 0 1 1 0 3.2 1.6 1.6 0 0 1 0-3.2Zm5.4 0a1.6 1.6 0 1 1 0 3.2 1.6 1.6 0 0 1 0-3.2Zm5.4 0a1.6 1.6 0 1 1 0 3.2 1.6 1.6 0 0 1 0-3.2Z',
  drain: 'M7.2 1.5h1.6v7.1l2.6-2.6 1.1 1.1L8 11.6 3.5 7.1 4.6 6l2.6 2.6V1.5ZM2 13h12v1.6H2V13Z',
  undo: 'M6.2 2.2 7.3 3.3 5.1 5.5h4.4a4.2 4.2 0 0 1 0 8.4H5v-1.6h4.5a2.6 2.6 0 0 0 0-5.2H5.1l2.2 2.2-1.1 1.1L2.1 6.3l4.1-4.1Z',
  inbox: 'M3.2 2h9.6L15 8.6V14H1V8.6L3.2 2Zm1.2 1.7L2.9 8.4h2.9c.2 1 1 1.7 2.2 1.7s2-.7 2.2-1.7h2.9l-1.5-4.7H4.4Z',
} as const;

export type IconName = keyof typeof PATHS;

export function Icon(props: { name: IconName; size?: number }) {
  const size = props.size ?? 16;
  return (
    <svg class="icon" viewBox="0 0 16 16" width={size} height={size} aria-hidden="true" focusable="false">
      <path fill="currentColor" fill-rule="evenodd" d={PATHS[props.name]} />
    </svg>
  );
}

export const STATE_ICON: Record<BackendState, IconName> = {
  up: 'check',
  failing: 'triangle',
  down: 'octagon',
  ejected: 'eject',
  unknown: 'question',
};

export const TONE_ICON: Record<Tone, IconName> = {
  good: 'check',
  moved: 'swap',
  warn: 'triangle',
  bad: 'octagon',
  off: 'plug',
};

export const LEVEL_ICON: Record<LogLevel, IconName> = {
  error: 'octagon',
  warn: 'triangle',
  info: 'dot',
  debug: 'ring',
};

/** The mark: a beam on a pivot, level while the preferred tier serves, tilted after a failover. */
export function Mark(props: { tone: Tone }) {
  const tilt = props.tone === 'moved' ? 16 : props.tone === 'bad' ? 30 : 0;
  return (
    <svg class={`mark tone-${props.tone}`} viewBox="0 0 32 32" width="28" height="28" aria-hidden="true" focusable="false">
      <path fill="currentColor" d="M16 16.5 22 27H10l6-10.5Z" />
      <g transform={`rotate(${tilt} 16 14)`}>
        <rect x="3" y="12.4" width="26" height="3.2" rx="1.6" fill="currentColor" />
        <circle cx="6.2" cy="8.6" r="3.4" fill="currentColor" />
        <circle cx="25.8" cy="8.6" r="2.6" fill="none" stroke="currentColor" stroke-width="1.7" />
      </g>
    </svg>
  );
}
