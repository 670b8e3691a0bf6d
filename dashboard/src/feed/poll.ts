// Asks the API about once a second, never twice at once, and backs off while nobody answers.

import { backoffSeconds } from './backoff';
import type { Answer, Problem } from './api';
import type { World } from './world';
import type { Health, Incident, Series } from '../wire/types';

export interface Source {
  health(): Promise<Answer<Health>>;
  incidents(): Promise<Answer<Incident[]>>;
  /** Null while no pool is known. */
  series(): Promise<Answer<Series>> | null;
}

export interface Sink {
  health(value: Health): void;
  incidents(answer: Answer<Incident[]>): void;
  series(answer: Answer<Series>): void;
  /** Health could not be had; the next attempt is at `retryAt`. */
  lost(problem: Problem, retryAt: number): void;
  /** An attempt after a loss is under way. */
  trying(): void;
}

const POLL_INTERVAL_MS = 1_000;

export interface Poll {
  /** Asks at once, unless an answer is already awaited. */
  now(): void;
  stop(): void;
}

export function startPoll(source: Source, sink: Sink, world: World): Poll {
  let failures = 0;
  let busy = false;
  let stopped = false;
  let cancel = (): void => {};

  const next = (milliseconds: number): void => {
    cancel();
    if (!stopped) cancel = world.after(milliseconds, () => void cycle().catch(console.error));
  };

  const details = async (): Promise<void> => {
    const series = source.series();
    await Promise.all([
      source.incidents().then((answer) => stopped || sink.incidents(answer)),
      series?.then((answer) => stopped || sink.series(answer)),
    ]);
  };

  async function cycle(): Promise<void> {
    if (busy || stopped) return;
    busy = true;
    let wait = POLL_INTERVAL_MS;
    try {
      wait = await ask();
    } finally {
      // Whatever went wrong in showing one answer, the next is asked for.
      busy = false;
      next(wait);
    }
  }

  /** Asks for everything once; answers how long to wait before asking again. */
  async function ask(): Promise<number> {
    const began = world.now();
    if (failures > 0) sink.trying();
    const answer = await source.health();
    if (stopped) return POLL_INTERVAL_MS;
    if (answer.ok) {
      failures = 0;
      sink.health(answer.value);
      await details();
      return Math.max(0, POLL_INTERVAL_MS - (world.now() - began));
    }
    failures += 1;
    const wait = backoffSeconds(failures, world.random()) * 1000;
    sink.lost(answer.problem, world.now() + wait);
    return wait;
  }

  void cycle().catch(console.error);
  return {
    now: () => {
      if (!busy) next(0);
    },
    stop: () => {
      stopped = true;
      cancel();
    },
  };
}
