// The series of the stretch of time on view. What ends now grows by the seconds that the feed brings
// while it has one point a second, and is asked for again otherwise.

import { effect, signal, untracked } from '@preact/signals';
import * as decode from '../wire/decode';
import type { Series } from '../wire/types';
import { call } from './api';
import type { Answer, Problem } from './api';
import { complete } from './complete';
import { merge } from './merge';
import { clockSkew, connection, health, series } from './store';
import type { Sample } from './store';

export interface Window {
  pool: string;
  seconds: number;
  /** Unix seconds; null for now. */
  end: number | null;
}

export const past = signal<Sample<Series> | null>(null);
export const pastProblem = signal<Problem | null>(null);

/** Growing by seconds, the whole is asked for again after this: points may have been late. */
const RENEW_MS = 60_000;
const AGAIN_MIN_MS = 5_000;
const RETRY_MS = 5_000;
const SECONDS_MIN = 300;

function serverSeconds(): number {
  return (Date.now() + clockSkew.peek()) / 1000;
}

/** When to ask for a window again; null when it is over and will not change. */
export function againAfter(window: Window, step: number, now: number): number | null {
  if (window.end !== null) return window.end + step < now ? null : AGAIN_MIN_MS;
  return step === 1 ? RENEW_MS : Math.min(RENEW_MS, Math.max(AGAIN_MIN_MS, step * 1000));
}

function get(window: Window, seconds: number): Promise<Answer<Series>> {
  const query = new URLSearchParams({ pool: window.pool, seconds: String(seconds) });
  if (window.end !== null) query.set('end', String(window.end));
  return call({ path: `/api/series?${query}`, decode: decode.series });
}

/** Shows a window until the answer is called. */
export function follow(window: Window): () => void {
  let timer = 0;
  let isOver = false;
  // What is shown of the same pool stays until there is more of it.
  if (past.peek()?.value.pool !== window.pool) past.value = null;
  const accept = (value: Series): void => {
    past.value = { value: complete(value, serverSeconds()), at: Date.now() };
  };
  const ask = async (): Promise<void> => {
    forget();
    let answer = await get(window, window.seconds);
    // A proxy that keeps five minutes says no to more, and to an end.
    if (!answer.ok && answer.problem.status === 400) answer = await get({ ...window, end: null }, SECONDS_MIN);
    if (isOver) return;
    pastProblem.value = answer.ok ? null : answer.problem;
    if (answer.ok) accept(answer.value);
    const wait = answer.ok ? againAfter(window, answer.value.step_seconds, serverSeconds()) : RETRY_MS;
    if (wait !== null) timer = self.setTimeout(() => void ask(), wait);
  };
  const forget = (): void => self.clearTimeout(timer);

  const stopGrowing = effect(() => {
    const sample = series.value;
    if (sample === null || window.end !== null || sample.value.pool !== window.pool) return;
    untracked(() => {
      const shown = past.value?.value;
      if (shown === undefined || shown.pool !== window.pool || shown.step_seconds !== 1) return;
      const grown = merge(shown, sample.value, window.seconds);
      if (grown === null) void ask();
      else accept(grown);
    });
  });
  // A restart makes another past, and so does a connection that was away.
  let epoch = '';
  const stopWatching = effect(() => {
    const next = `${connection.value.kind === 'live'} ${health.value?.value.started_at}`;
    const isAsked = epoch === '' || connection.value.kind === 'live';
    if (next !== epoch && isAsked) untracked(() => void ask());
    epoch = next;
  });
  return () => {
    isOver = true;
    forget();
    stopGrowing();
    stopWatching();
    pastProblem.value = null;
  };
}
