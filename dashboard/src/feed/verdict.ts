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
  return { tone: toneOf(pool), word: wordOf(pool), sentence: sentenceOf(pool), cost: costOf(pool) };
}

function sentenceOf(pool: Pool): string {
  if (pool.backends.length === 0) return `Pool ${pool.name} has no backends: every request to it is lost.`;
  const since = clock(Date.parse(pool.since));
  const ailing = ailments(pool);
  if (pool.failing_open) {
    const why = ailing.length > 0 ? ` ${ailing.join('; ')}.` : '';
    return `No backend is eligible since ${since}; requests are sent to any of them all the same.${why}`;
  }
  if (isDown(pool)) {
    const why = ailing.length > 0 ? `: ${ailing.join('; ')}` : '';
    return `Nothing can serve since ${since}${why}.`;
  }
  const held = pool.held_tier === null ? '' : `, held on tier ${pool.held_tier} by an operator`;
  return `Serving from ${names(serving(pool))} since ${since}${held}${ailing.map((it) => `; ${it}`).join('')}.`;
}

function isDown(pool: Pool): boolean {
  return pool.status === 'down' || pool.active_tier === null;
}

/** An operator wants no traffic there, so that it is out is no trouble. */
export function isPlanned(backend: Backend): boolean {
  return backend.ejected_by_operator || backend.intent !== 'enabled';
}

function isAiling(backend: Backend): boolean {
  return backend.state !== 'up' || !backend.eligible;
}

function serving(pool: Pool): string[] {
  const active = pool.backends.filter((it) => it.active).map((it) => it.name);
  if (active.length > 0) return active;
  return pool.active_backend === null ? [] : [pool.active_backend];
}

export function toneOf(pool: Pool): Tone {
  if (pool.backends.length === 0 || isDown(pool) || pool.failing_open) return 'bad';
  if (pool.last_minute.lost > 0) return 'warn';
  if (pool.backends.some((it) => it.fault !== null)) return 'warn';
  if (pool.status === 'failed_over') return 'moved';
  if (pool.status !== 'degraded') return 'good';
  return pool.backends.some((it) => isAiling(it) && !isPlanned(it)) ? 'warn' : 'moved';
}

function wordOf(pool: Pool): string {
  if (pool.backends.length === 0) return 'No backends';
  if (pool.failing_open) return 'Failing open';
  if (isDown(pool)) return 'Down';
  if (pool.held_tier !== null) return 'Held';
  if (pool.status === 'failed_over') return 'Failed over';
  if (pool.backends.some((it) => it.fault !== null)) return 'Fault injected';
  if (pool.status === 'serving') return 'Serving';
  return toneOf(pool) === 'moved' ? 'Maintenance' : 'Degraded';
}

/**
 * What is wrong with which backends, and what operators took out or broke; those in the same trouble are
 * named together, at most two troubles.
 */
function ailments(pool: Pool): string[] {
  const troubles = new Map<string, string[]>();
  for (const backend of pool.backends) {
    const trouble = ailment(backend);
    if (trouble !== null) troubles.set(trouble, [...(troubles.get(trouble) ?? []), backend.name]);
  }
  const all = [...troubles].map(([trouble, who]) => `${names(who)} ${who.length === 1 ? 'is' : 'are'} ${trouble}`);
  const rest = all.length - 2;
  return rest > 0 ? [...all.slice(0, 2), `${count(rest)} more`] : all;
}

function ailment(backend: Backend): string | null {
  if (backend.fault !== null) return `failing on purpose (${backend.fault.mode})`;
  if (backend.ejected_by_operator) return 'ejected by an operator';
  if (backend.intent === 'disabled') return 'disabled by an operator';
  if (backend.intent === 'draining') return backend.in_flight > 0 ? `draining, ${count(backend.in_flight)} left` : 'drained';
  if (!isAiling(backend)) return null;
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

/** The page's title: short enough for a tab, the state first. `isReady` is false while the process wants no traffic. */
export function title(pools: readonly Pool[], lostFor: number | null, isReady = true): string {
  if (lostFor !== null) return `Not connected (${span(lostFor)}) · Bascule`;
  const pool = worst(pools);
  if (pool === null) return 'Bascule';
  const prefix = `${isReady ? '' : 'Not ready · '}${pools.length > 1 ? `${pool.name}: ` : ''}`;
  const word = wordOf(pool);
  if (toneOf(pool) === 'bad') return `${prefix}${word} · Bascule`;
  return `${prefix}${word} · ${names(serving(pool))} · Bascule`;
}

/** The tab's icon: as bad as the worst pool, and never good while the process wants no traffic. */
export function tabTone(pools: readonly Pool[], isReady: boolean): Tone {
  const pool = worst(pools);
  if (pool === null) return 'off';
  const tone = toneOf(pool);
  return isReady || tone !== 'good' ? tone : 'moved';
}
