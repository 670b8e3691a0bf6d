// Places orders, and keeps what became of each until it was seen: whatever view is shown meanwhile.

import { signal } from '@preact/signals';
import * as decode from '../wire/decode';
import { backendOrdered, poolOrdered } from '../wire/control';
import type { PoolOrdered } from '../wire/types';
import type { Backend } from '../wire/types';
import { call } from './api';
import type { Answer, Problem } from './api';
import { retryNow } from './feed';
import { keyOf } from './key';
import { bodyOf, doneWords, moveBody, pathOf, persistWords, undoOf } from './ordering';
import type { Move, Order } from './ordering';
import { token } from './token';

/** For so long an order can be taken back by one press. */
export const UNDO_MS = 5_000;
/** Then what was done shows in the backend itself, and its line goes. */
const SAID_MS = 12_000;

export type Outcome =
  | { kind: 'pending'; order: Order }
  | { kind: 'done'; order: Order; words: string; undo: Order | null; at: number }
  | { kind: 'not'; order: Order; problem: Problem };

/** By `keyOf`. */
export const outcomes = signal<ReadonlyMap<string, Outcome>>(new Map());

function keep(key: string, outcome: Outcome | null): void {
  const next = new Map(outcomes.peek());
  if (outcome === null) next.delete(key);
  else next.set(key, outcome);
  outcomes.value = next;
}

export function clearOrders(): void {
  outcomes.value = new Map();
  moved.value = null;
}

export function forget(pool: string, backend: string): void {
  keep(keyOf(pool, backend), null);
}

export async function order(pool: string, backend: Backend, wanted: Order): Promise<void> {
  const key = keyOf(pool, backend.name);
  if (outcomes.peek().get(key)?.kind === 'pending') return;
  const pending: Outcome = { kind: 'pending', order: wanted };
  keep(key, pending);
  const answer = await place(pool, backend.name, wanted);
  retryNow();
  // Whoever placed it has signed out: what became of it is not for whoever comes next.
  if (outcomes.peek().get(key) !== pending) return;
  if (!answer.ok) return keep(key, { kind: 'not', order: wanted, problem: answer.problem });
  const outcome: Outcome = { kind: 'done', order: wanted, words: answer.value, undo: undoOf(wanted, backend), at: Date.now() };
  keep(key, outcome);
  window.setTimeout(() => {
    if (outcomes.peek().get(key) === outcome) keep(key, null);
  }, SAID_MS);
}

/** Answers what was done, in words. */
async function place(pool: string, name: string, wanted: Order): Promise<Answer<string>> {
  const path = pathOf(pool, name, wanted.verb);
  if (wanted.verb === 'recover') {
    const answer = await call({ path, method: 'POST', body: { pool, backend: name }, decode: decode.recovered });
    return answer.ok ? { ok: true, value: doneWords(wanted, name, 0) } : answer;
  }
  const answer = await call({ path, method: 'POST', body: bodyOf(wanted), decode: backendOrdered });
  if (!answer.ok) return answer;
  const { backend, persists } = answer.value;
  const kept = wanted.verb === 'eject' || wanted.verb === 'readmit' ? '' : ` ${persistWords(persists)}`;
  return { ok: true, value: `${doneWords(wanted, name, backend.in_flight)}${kept}` };
}

/** What became of the last move of each pool's traffic. */
export const moved = signal<{ pool: string; words: string } | null>(null);

export async function move(pool: string, wanted: Move): Promise<Answer<PoolOrdered>> {
  const path = `/api/pools/${encodeURIComponent(pool)}/${wanted.verb}`;
  const placedBy = token.peek();
  const answer = await call({ path, method: 'POST', body: moveBody(wanted), decode: poolOrdered });
  retryNow();
  if (answer.ok && token.peek() === placedBy) {
    const { active_backend, held_tier } = answer.value.pool;
    const where = active_backend ?? 'nobody';
    const what = wanted.verb === 'failback' && !answer.value.is_done ? `Traffic of ${pool} begins to return.` : `Traffic of ${pool} goes to ${where}.`;
    const kept = held_tier === null ? '' : ` It is held there until it is failed back. ${persistWords(answer.value.persists)}`;
    const said = { pool, words: `${what}${kept}` };
    moved.value = said;
    window.setTimeout(() => {
      if (moved.peek() === said) moved.value = null;
    }, SAID_MS);
  }
  return answer;
}
