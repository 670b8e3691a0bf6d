// The live log's state: the ring, the filter, and whether the view stands still.

import { computed, signal } from '@preact/signals';
import type { LogLevel } from '../wire/types';
import { filterRows, LogRing } from './loglines';
import type { LogRow } from './loglines';
import { logUrl, openLogSocket } from './logsocket';
import type { LogConnection, LogEvent, LogSocket } from './logsocket';

export const level = signal<LogLevel>('info');
export const needle = signal('');
/** Only lines of the pool on view; the proxy sorts them out. */
export const onlyPool = signal<string | null>(null);
export const logConnection = signal<LogConnection>({ kind: 'connecting' });

const ring = new LogRing();
/** Grows when the ring changed; the ring itself is not copied. */
const version = signal(0);
/** What the view shows while it stands still: the rows at that moment, and how many had come by then. */
const frozen = signal<{ rows: readonly LogRow[]; arrived: number } | null>(null);

export const paused = computed(() => frozen.value !== null);

export const rows = computed<readonly LogRow[]>(() => {
  void version.value;
  return filterRows(frozen.value?.rows ?? ring.rows(), { level: level.value, text: needle.value });
});

/** Rows that came since the view was paused. */
export const unseen = computed(() => {
  void version.value;
  return frozen.value === null ? 0 : ring.arrived - frozen.value.arrived;
});

export const kept = computed(() => {
  void version.value;
  return ring.size;
});

export function pause(): void {
  if (frozen.value === null) frozen.value = { rows: ring.rows(), arrived: ring.arrived };
}

export function resume(): void {
  frozen.value = null;
}

export function clearLog(): void {
  ring.clear();
  frozen.value = null;
  version.value += 1;
}

/** The same complaint many times over is one row that counts. */
let troubles = 0;

function take(events: LogEvent[]): void {
  for (const event of events) {
    if ('frame' in event) ring.accept(event.frame);
    else if ('trouble' in event && troubles < 20) {
      troubles += 1;
      ring.mark('trouble', troubles === 20 ? 'more frames could not be read; reload the page to see them listed' : event.trouble);
    }
  }
  version.value += 1;
}

/** Opens the log and keeps it open. A change of level or pool connects anew: the proxy then repeats recent lines. */
export function followLog(): () => void {
  let socket: LogSocket | null = null;
  const world = {
    now: () => Date.now(),
    random: () => Math.random(),
    after: (milliseconds: number, then: () => void) => {
      const id = window.setTimeout(then, milliseconds);
      return () => window.clearTimeout(id);
    },
  };
  const draw = (then: () => void): void => {
    // A hidden tab draws nothing, so it folds frames in by timer.
    if (document.hidden) window.setTimeout(then, 500);
    else requestAnimationFrame(then);
  };
  // Levels above info are subsets of it, sorted out here, so that lowering the bar again finds them.
  const wanted = computed<LogLevel>(() => (level.value === 'debug' ? 'debug' : 'info'));
  const stop = computed(() => logUrl(location, wanted.value, onlyPool.value)).subscribe((url) => {
    socket?.close();
    socket = openLogSocket(
      {
        url,
        onEvents: take,
        onConnection: (state) => {
          logConnection.value = state;
        },
      },
      world,
      draw,
    );
  });
  return () => {
    stop();
    socket?.close();
  };
}
