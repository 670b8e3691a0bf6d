// What failing a backend means: the request that is sent, and what will happen. Pure.

import type { Backend, FailRequest, FaultScope, InjectableMode, Pool } from '../wire/types';
import { names } from '../format';

export interface FailChoice {
  mode: InjectableMode;
  length: string;
  scope: FaultScope;
  percent: number;
  delay: string;
  /** What `error` answers. */
  status: number;
}

export const FAIL_MODES: readonly { mode: InjectableMode; word: string; says: string }[] = [
  { mode: 'crash', word: 'Crash', says: 'its process exits with status 1' },
  { mode: 'refuse', word: 'Refuse', says: 'it takes no connections' },
  { mode: 'blackhole', word: 'Blackhole', says: 'connections to it lead nowhere' },
  { mode: 'hang', word: 'Hang', says: 'it takes requests and never answers' },
  { mode: 'reset', word: 'Reset', says: 'it closes connections before it answers' },
  { mode: 'truncate', word: 'Truncate', says: 'its answers break off' },
  { mode: 'error', word: 'Error', says: 'it answers with an error' },
  { mode: 'slow', word: 'Slow', says: 'it answers late' },
];

/** The body of POST /proxy/fail: only what the mode has a use for. */
export function failRequest(pool: string, backend: string, choice: FailChoice): FailRequest {
  const { mode, length, scope, percent, delay, status } = choice;
  return {
    pool,
    backend,
    mode,
    ...(mode === 'crash' ? {} : { for: length }),
    ...(mode === 'crash' || scope === 'all' ? {} : { scope }),
    ...(mode === 'crash' || percent === 100 ? {} : { percent }),
    ...(mode === 'slow' ? { delay } : {}),
    ...(mode === 'error' && status !== 503 ? { status } : {}),
  };
}

export interface Consequence {
  text: string;
  /** Users would notice. */
  costly: boolean;
}

/** Who carries the traffic once `backend` cannot. */
export function consequence(pool: Pool, backend: Backend, choice: FailChoice): Consequence {
  const end =
    choice.mode === 'crash'
      ? 'It comes back when something starts it again.'
      : `The fault ends by itself after ${choice.length.replace(/([a-z])/, '\u00a0$1')}.`;
  if (!backend.active) {
    return { costly: false, text: `${backend.name} is not serving now, so no traffic moves. ${end}` };
  }
  const rest = pool.backends.filter((it) => it.name !== backend.name && it.eligible);
  if (rest.length === 0) {
    return {
      costly: true,
      text: `No other backend of ${pool.name} is eligible: requests will be lost until ${backend.name} recovers. ${end}`,
    };
  }
  const tier = Math.min(...rest.map((it) => it.tier));
  const heirs = names(rest.filter((it) => it.tier === tier).map((it) => it.name));
  const isPartial = choice.mode !== 'crash' && (choice.scope !== 'all' || choice.percent < 100);
  const moved = `${isPartial ? `If that takes ${backend.name} out, traffic` : 'Traffic'} of ${pool.name} moves to ${heirs} (tier ${tier}).`;
  return { costly: false, text: `${moved} Requests caught by the failure are retried where that is safe. ${end}` };
}
