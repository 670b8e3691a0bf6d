// The feed's WebSocket. It says what it knows whenever it hears something, and that it is down when it
// is refused, breaks or falls silent; whoever listens then polls. It comes back by itself, and asks for
// what it missed.

import { apply } from './apply';
import { backoffSeconds } from './backoff';
import { feedFrame } from './frames';
import type { Known } from './frames';
import type { World } from './world';

/** The part of a WebSocket that is used; tests play it. */
export interface Socket {
  onmessage: ((message: { data: unknown }) => void) | null;
  onclose: (() => void) | null;
  send(text: string): void;
  close(): void;
}

interface FeedTarget {
  /** Null when nobody lets us in. */
  connect(query: string): Promise<Socket | null>;
  /** Whose points are wanted; null for the first pool's. */
  pool(): string | null;
  seconds: number;
  onKnown(known: Known): void;
  onDown(): void;
}

export interface Feed {
  /** Asks for the points of the pool that is wanted now. */
  watch(): void;
  /** Tries to connect at once, if it is down. */
  now(): void;
  stop(): void;
}

/** The sidecar says something every second. */
const SILENCE_MS = 5_000;
/** Failures that are counted for the wait: one that is refused for good asks rarely. */
const REFUSED = 5;

export function openFeed(target: FeedTarget, world: World): Feed {
  let socket: Socket | null = null;
  let known: Known | null = null;
  let failures = 0;
  let stopped = false;
  /** Counts attempts, so that one that has been given up is known when it comes to something. */
  let attempt = 0;
  let cancelRetry = (): void => {};
  let cancelSilence = (): void => {};

  const down = (): void => {
    const before = socket;
    socket = null;
    attempt += 1;
    cancelSilence();
    cancelRetry();
    if (before !== null) {
      before.onmessage = null;
      before.onclose = null;
      before.close();
    }
    if (stopped) return;
    failures += failures === 0 && known === null ? REFUSED : 1;
    target.onDown();
    cancelRetry = world.after(backoffSeconds(failures, world.random()) * 1000, connect);
  };

  const hear = (data: unknown): void => {
    let next: Known | null = null;
    try {
      next = typeof data === 'string' ? apply(known, feedFrame(JSON.parse(data), '')) : null;
    } catch {
      // A frame of another version: polling says what is wrong with it.
    }
    if (next === null) {
      known = null;
      return down();
    }
    failures = 0;
    known = next;
    cancelSilence();
    cancelSilence = world.after(SILENCE_MS, down);
    target.onKnown(next);
  };

  function connect(): void {
    cancelRetry();
    const query = new URLSearchParams({ seconds: String(target.seconds) });
    const pool = target.pool();
    if (pool !== null) query.set('pool', pool);
    if (known !== null) query.set('after', String(known.seq));
    attempt += 1;
    const mine = attempt;
    void target.connect(query.toString()).then((opening) => {
      if (mine !== attempt) return opening?.close();
      if (opening === null) return down();
      socket = opening;
      cancelSilence = world.after(SILENCE_MS, down);
      opening.onmessage = (message) => hear(message.data);
      opening.onclose = down;
    });
  }

  connect();
  return {
    watch: () => {
      const pool = target.pool();
      if (pool === null || known === null || socket === null) return;
      known = { ...known, series: null };
      socket.send(JSON.stringify({ type: 'watch', pool, seconds: target.seconds }));
    },
    now: () => {
      if (socket === null && !stopped) connect();
    },
    stop: () => {
      stopped = true;
      down();
    },
  };
}
