// What a screen asks for itself: once, again on demand, or every few seconds while it is shown.

import { useEffect, useState } from 'preact/hooks';
import type { Answer, Problem } from './api';
import { connection } from './store';
import { token } from './token';

export interface Asked<T> {
  value: T | null;
  /** When the value came (browser clock, ms). */
  at: number | null;
  problem: Problem | null;
  isBusy: boolean;
  again: () => void;
}

/** Asks at once and whenever `key`, the token or the connection changes; a failure leaves the last value. */
export function useAsked<T>(key: string, ask: () => Promise<Answer<T>>, everyMs: number | null = null): Asked<T> {
  const [state, setState] = useState<Omit<Asked<T>, 'again'>>({ value: null, at: null, problem: null, isBusy: true });
  const [turn, setTurn] = useState(0);
  const isLive = connection.value.kind !== 'lost';
  useEffect(() => {
    let gone = false;
    let id = 0;
    const go = async (): Promise<void> => {
      setState((before) => ({ ...before, isBusy: true }));
      const answer = await ask();
      if (gone) return;
      setState((before) =>
        answer.ok ? { value: answer.value, at: Date.now(), problem: null, isBusy: false } : { ...before, problem: answer.problem, isBusy: false },
      );
      const mayPass = answer.ok || answer.problem.status === null || answer.problem.status >= 500;
      if (everyMs !== null && mayPass) id = window.setTimeout(() => void go(), everyMs);
    };
    if (isLive) void go();
    return () => {
      gone = true;
      window.clearTimeout(id);
    };
  }, [key, token.value, isLive, turn]);
  return { ...state, again: () => setTurn(turn + 1) };
}
