// The log's WebSocket: connects, backs off, and hands frames on, decoded, once per frame drawn.

import { logFrame } from '../wire/decode';
import { DecodeError } from '../wire/shape';
import type { LogFrame, LogLevel } from '../wire/types';
import { backoffSeconds } from './backoff';
import { wsUrl } from './world';
import type { World } from './world';

export type LogConnection =
  | { kind: 'connecting' }
  | { kind: 'open' }
  | { kind: 'closed'; retryAt: number };

export type LogEvent = { frame: LogFrame } | { trouble: string };

export interface LogSocket {
  close(): void;
}

interface LogTarget {
  /** Where to connect, with what lets us in; null where that could not be had. */
  address(): Promise<string | null>;
  onEvents(events: LogEvent[]): void;
  onConnection(state: LogConnection): void;
}

/** Frames that wait for the next drawing; a hidden page draws rarely and must not hoard. */
const WAITING_MAX = 400;
/** Of those, how many one drawing takes in: what piled up while the page could not draw must not hold it up again. */
const DRAWN_MAX = 20;

export function logUrl(level: LogLevel, pool: string | null): string {
  return wsUrl('/logs', new URLSearchParams({ level, ...(pool === null ? {} : { pool }) }));
}

export function openLogSocket(target: LogTarget, world: World, draw: (then: () => void) => void): LogSocket {
  let socket: WebSocket | null = null;
  let failures = 0;
  let closed = false;
  let cancel = (): void => {};
  const waiting: LogEvent[] = [];
  let skipped = 0;
  let scheduled = false;

  const flush = (): void => {
    scheduled = false;
    if (closed) return;
    const events = waiting.splice(0, DRAWN_MAX);
    if (skipped > 0) events.unshift({ frame: { type: 'dropped', count: skipped } });
    skipped = 0;
    target.onEvents(events);
    if (waiting.length > 0) soon();
  };

  const soon = (): void => {
    if (scheduled) return;
    scheduled = true;
    draw(flush);
  };

  const take = (event: LogEvent): void => {
    waiting.push(event);
    if (waiting.length > WAITING_MAX) {
      const oldest = waiting.shift();
      if (oldest !== undefined && 'frame' in oldest) {
        if (oldest.frame.type === 'lines') skipped += oldest.frame.lines.length;
        if (oldest.frame.type === 'dropped') skipped += oldest.frame.count;
      }
    }
    soon();
  };

  const connect = (): void => {
    target.onConnection({ kind: 'connecting' });
    void target.address().then((url) => {
      if (closed) return;
      if (url === null) later();
      else begin(url);
    });
  };

  const later = (): void => {
    failures += 1;
    const wait = backoffSeconds(failures, world.random()) * 1000;
    target.onConnection({ kind: 'closed', retryAt: world.now() + wait });
    cancel = world.after(wait, connect);
  };

  const begin = (url: string): void => {
    const opening = new WebSocket(url);
    socket = opening;
    opening.onopen = () => {
      if (!closed) target.onConnection({ kind: 'open' });
    };
    opening.onmessage = (message: MessageEvent<unknown>) => {
      if (closed) return;
      failures = 0;
      take(read(message.data));
    };
    opening.onclose = () => {
      if (!closed) later();
    };
  };

  connect();
  return {
    close: () => {
      closed = true;
      cancel();
      socket?.close();
    },
  };
}

function read(data: unknown): LogEvent {
  if (typeof data !== 'string') return { trouble: 'a frame that is not text' };
  try {
    return { frame: logFrame(JSON.parse(data), '') };
  } catch (error) {
    if (error instanceof DecodeError) return { trouble: `a frame could not be read: ${error.message}` };
    return { trouble: 'a frame that is not JSON' };
  }
}
