// The one sentence that answers "are users affected now?", from a pool's health. Pure.

import { clock, count, names, plural, span } from '../format';
import type { Backend, Pool } from '../wire/types';

/** How the verdict looks; every tone also has its own icon shape and word. */
export type Tone = 'good' | 'moved' | 'warn' | 'bad' | 'off';

export interface Verdict {
  tone: Tone;
  /** One word for the badge and the page title. */
  word: string;
  /** Who serves and what is wrong. */
  sentence: string;
  /** What it cost in the last minute. */
  cost: string;
}

const SEVERITY: Record<Tone, number> = { off: 4, bad: 3, warn: 2, moved: 1, good: 0 };

export function verdict(pool: Pool): Verdict {
  const cost = costOf(pool);
  const tone = toneOf(pool);
  const ailing = ailments(pool);
  if (pool.status === 'down' || pool.active_tier === null) {
    const why = ailing.length > 0 ? `: ${ailing.join('; ')}` : '';
    return { tone, word: 'Down', sentence: `Nothing can serve since ${clock(Date.parse(pool.since))}${why}.`, cost };
  }
  const who = names(serving(pool));
  const since = clock(Date.parse(pool.since));
  const what = ailing.length > 0 ? `; ${ailing.join('; ')}` : '';
  return { tone, word: wordOf(pool), sentence: `Serving from ${who} since ${since}${what}.`, cost };
}

function serving(pool: Pool): string[] {
  const active = pool.backends.filter((it) => it.active).map((it) => it.name);
  if (active.length > 0) return active;
  return pool.active_backend === null ? [] : [pool.active_backend];
}

export function toneOf(pool: Pool): Tone {
  if (pool.status === 'down' || pool.active_tier === null) return 'bad';
  if (pool.last_minute.lost > 0) return 'warn';
  if (pool.status === 'failed_over') return 'moved';
  return pool.status === 'degraded' ? 'warn' : 'good';
}

function wordOf(pool: Pool): string {
  if (pool.status === 'failed_over') return 'Failed over';
  return pool.status === 'degraded' ? 'Degraded' : 'Serving';
}

/** What is wrong with which backends; those in the same trouble are named together, at most two troubles. */
function ailments(pool: Pool): string[] {
  const troubles = new Map<string, string[]>();
  for (const backend of pool.backends) {
    if (backend.state === 'up' && backend.eligible) continue;
    const trouble = ailment(backend);
    troubles.set(trouble, [...(troubles.get(trouble) ?? []), backend.name]);
  }
  const all = [...troubles].map(([trouble, who]) => `${names(who)} ${who.length === 1 ? 'is' : 'are'} ${trouble}`);
  const rest = all.length - 2;
  return rest > 0 ? [...all.slice(0, 2), `${plural(rest, 'more problem')}`] : all;
}

function ailment(backend: Backend): string {
  const why = backend.reason === null ? '' : `: ${backend.reason}`;
  switch (backend.state) {
    case 'up':
      return `not eligible${why}`;
    case 'failing':
      return `failing${why}`;
    case 'down':
      return `down${why}`;
    case 'ejected':
      return `ejected${why}`;
    case 'unknown':
      return 'not checked yet';
  }
}

function costOf(pool: Pool): string {
  const { requests, lost, rescued } = pool.last_minute;
  if (requests === 0) return 'No requests in the last minute.';
  const saved = rescued > 0 ? `, ${count(rescued)} rescued` : '';
  return `${plural(lost, 'lost request')}${saved} in the last minute.`;
}

/** The pool an operator should look at first. */
export function worst(pools: readonly Pool[]): Pool | null {
  let found: Pool | null = null;
  for (const pool of pools) {
    if (found === null || SEVERITY[toneOf(pool)] > SEVERITY[toneOf(found)]) found = pool;
  }
  return found;
}

/** Other pools that need attention, worst first. */
export function othersInNeed(pools: readonly Pool[], shown: string): Pool[] {
  return pools
    .filter((it) => it.name !== shown && toneOf(it) !== 'good')
    .sort((a, b) => SEVERITY[toneOf(b)] - SEVERITY[toneOf(a)]);
}

/** The page's title: short enough for a tab, the state first. */
export function title(pools: readonly Pool[], lostFor: number | null): string {
  if (lostFor !== null) return `Not connected (${span(lostFor)}) · Bascule`;
  const pool = worst(pools);
  if (pool === null) return 'Bascule';
  const prefix = pools.length > 1 ? `${pool.name}: ` : '';
  if (toneOf(pool) === 'bad') return `${prefix}Down · Bascule`;
  return `${prefix}${wordOf(pool)} · ${names(serving(pool))} · Bascule`;
}

