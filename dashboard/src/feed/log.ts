// The live log's state: the ring, what is looked for, and whether the view stands still. What is chosen is
// in the address, so that a link shows the same lines.

import { computed, effect, signal, untracked } from '@preact/signals';
import { param, setParams } from '../route';
import type { LogLevel } from '../wire/types';
import { LEVELS, lineText, LogRing } from './loglines';
import type { LogRow } from './loglines';
import { logUrl, openLogSocket } from './logsocket';
import { admitted } from './ticket';
import { token } from './token';
import type { LogConnection, LogEvent, LogSocket } from './logsocket';
import { openMatcher, syntaxProblem } from './regex';
import { Sieve } from './sieve';
import type { LogSource } from './sieve';
import { browser } from './world';

export const level = computed<LogLevel>(() => LEVELS.find((it) => it === param('level')) ?? 'info');
export const needle = computed(() => param('q') ?? '');
export const isRegex = computed(() => param('re') === '1');
/** Lines that do not match are shown, too. */
export const showsAll = computed(() => param('all') === '1');
/** Only lines of this pool; the proxy sorts them out. */
export const onlyPool = computed(() => param('of'));
export const onlyBackend = computed(() => param('backend'));
/** Only lines of a stretch of time, unix ms: an incident's. */
export const onlyWindow = signal<{ from: number; to: number | null } | null>(null);

export const logConnection = signal<LogConnection>({ kind: 'connecting' });
/** What is wrong with the expression, if anything is. */
export const needleProblem = signal<string | null>(null);

export function choose(changes: { level?: LogLevel; needle?: string; isRegex?: boolean; showsAll?: boolean; pool?: string | null; backend?: string | null }): void {
  const flag = (it: boolean): string | null => (it ? '1' : null);
  setParams({
    ...(changes.level === undefined ? {} : { level: changes.level === 'info' ? null : changes.level }),
    ...(changes.needle === undefined ? {} : { q: changes.needle }),
    ...(changes.isRegex === undefined ? {} : { re: flag(changes.isRegex) }),
    ...(changes.showsAll === undefined ? {} : { all: flag(changes.showsAll) }),
    ...(changes.pool === undefined ? {} : { of: changes.pool }),
    ...(changes.backend === undefined ? {} : { backend: changes.backend }),
  });
}

const ring = new LogRing();
/** Grows when the ring changed; the ring itself is not copied. */
const version = signal(0);
/** What the view shows while it stands still: the log at that moment, and how many rows had come by then. */
const frozen = signal<{ source: LogSource; arrived: number } | null>(null);
/** Grows when an expression has been tried on more lines. */
const sieved = signal(0);
const sieve = signal<Sieve>(new Sieve({ level: 'info', backend: null, from: null, to: null, text: '' }, null, () => {}));

export const paused = computed(() => frozen.value !== null);
export const hasNeedle = computed(() => needle.value.trim() !== '');

const swept = computed(() => {
  void version.value;
  void sieved.value;
  const now = sieve.value;
  now.update(frozen.value?.source ?? ring.source());
  return { view: now.view, hits: now.hits };
});

export const hits = computed<readonly LogRow[]>(() => (hasNeedle.value ? swept.value.hits : []));
export const rows = computed<readonly LogRow[]>(() => (hasNeedle.value && !showsAll.value ? swept.value.hits : swept.value.view));

/** Rows that came since the view was paused. */
export const unseen = computed(() => {
  void version.value;
  return frozen.value === null ? 0 : ring.arrived - frozen.value.arrived;
});

export const kept = computed(() => {
  void version.value;
  return ring.size;
});

/** The moment of the oldest line that is kept; null while there is none. */
export const oldest = computed(() => {
  void version.value;
  const first = ring.source().rows.find((row) => row.kind === 'line');
  return first === undefined ? null : Date.parse(first.line.at);
});

export function pause(): void {
  if (frozen.value === null) frozen.value = { source: ring.source(), arrived: ring.arrived };
}

export function resume(): void {
  frozen.value = null;
}

export function clearLog(): void {
  ring.clear();
  frozen.value = null;
  version.value += 1;
}

/** The lines on view, as they are on the wire, one a line. */
export function shownJson(): string {
  return rows.value.map((row) => `${JSON.stringify(row.kind === 'line' ? row.line : { skipped: row.text })}\n`).join('');
}

/** The lines on view, as people read them. */
export function shownText(): string {
  return rows.value.map((row) => (row.kind === 'line' ? `${row.line.at} ${lineText(row.line)}\n` : `-- ${row.text}\n`)).join('');
}

/** Sorts by what is chosen now, and again whenever that changes. */
function followChoice(): () => void {
  return effect(() => {
    const source = isRegex.value ? needle.value : null;
    const problem = source === null || !hasNeedle.value ? null : syntaxProblem(source);
    needleProblem.value = problem;
    const matcher = source === null || !hasNeedle.value || problem !== null ? null : openMatcher(source);
    const window = onlyWindow.value;
    const filter = { level: level.value, backend: onlyBackend.value, from: window?.from ?? null, to: window?.to ?? null, text: problem === null ? needle.value : '' };
    const next = new Sieve(filter, matcher, () => {
      // One that was put away is not given up: its thread was ended.
      if (sieve.peek() !== next) return;
      if (next.isGivenUp) needleProblem.value = 'this takes too long to try; it was given up';
      sieved.value += 1;
    });
    untracked(() => (sieve.value = next));
    return () => matcher?.close();
  });
}

/** The same complaint many times over is one row that counts. */
let troubles = 0;

function take(events: LogEvent[]): void {
  for (const event of events) {
    if ('frame' in event) ring.accept(event.frame);
    else if (troubles < 20) {
      troubles += 1;
      ring.mark('trouble', troubles === 20 ? 'more frames could not be read; reload the page to see them listed' : event.trouble);
    }
  }
  version.value += 1;
}

/** Opens the log and keeps it open. A change of level or pool connects anew: the proxy then repeats recent lines. */
export function followLog(): () => void {
  let socket: LogSocket | null = null;
  const draw = (then: () => void): void => {
    // A hidden tab draws nothing, so it folds frames in by timer.
    if (document.hidden) window.setTimeout(then, 500);
    else requestAnimationFrame(then);
  };
  // Levels above info are subsets of it, sorted out here, so that lowering the bar again finds them.
  const wanted = computed<LogLevel>(() => (level.value === 'debug' ? 'debug' : 'info'));
  const stopChoice = followChoice();
  const stop = computed(() => ({ url: logUrl(wanted.value, onlyPool.value), token: token.value })).subscribe(({ url }) => {
    socket?.close();
    socket = openLogSocket(
      {
        address: () => admitted(url, '/logs'),
        onEvents: take,
        onConnection: (state) => {
          logConnection.value = state;
        },
      },
      browser,
      draw,
    );
  });
  return () => {
    stop();
    stopChoice();
    socket?.close();
  };
}
