// Orders about backends and pools: what is sent, the command that does the same, what it will mean, and
// what an answer means. Pure.

import { names, NONE, ratio } from '../format';
import type { Persists } from '../wire/types';
import type { Backend, FailRequest, Intent, Pool } from '../wire/types';
import type { Problem } from './api';

/** The most that the page offers; the API takes more. */
export const WEIGHT_MAX = 256;
export const EJECT_LENGTHS = ['30s', '5m', '1h'] as const;

export type Verb = 'drain' | 'undrain' | 'disable' | 'enable' | 'eject' | 'readmit' | 'weight' | 'recover';

export interface Order {
  verb: Verb;
  weight?: number;
  /** For `eject`: how long. */
  length?: string;
  /** Even if it is the last eligible backend. */
  force?: boolean;
  /** Only if things are as they were seen. */
  expect?: { intent?: Intent; weight?: number };
}

/** The body of POST /backends/{pool}/{name}/{verb}. */
export function bodyOf(order: Order): Record<string, unknown> {
  return {
    ...(order.weight === undefined ? {} : { weight: order.weight }),
    ...(order.length === undefined ? {} : { for: order.length }),
    ...(order.force === true ? { force: true } : {}),
    ...(order.expect === undefined ? {} : { expect: order.expect }),
  };
}

export function pathOf(pool: string, backend: string, verb: Verb): string {
  if (verb === 'recover') return '/api/proxy/recover';
  return `/api/backends/${encodeURIComponent(pool)}/${encodeURIComponent(backend)}/${verb}`;
}

/** A word as a shell takes it. */
export function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

export function commandOf(pool: string, backend: string, order: Order): string {
  const name = quoted(`${pool}/${backend}`);
  if (order.verb === 'recover') return `bascule recover ${name}`;
  const force = order.force === true ? ' --force' : '';
  const weight = order.weight === undefined ? '' : ` ${order.weight}`;
  const length = order.length === undefined ? '' : ` --for ${order.length}`;
  return `bascule backend ${order.verb} ${name}${weight}${length}${force}`;
}

export function faultCommand(request: FailRequest): string {
  const { pool, backend, mode, scope, percent, delay, status } = request;
  const given: [string, string | number | undefined][] = [
    ['mode', mode], ['for', request.for], ['scope', scope], ['percent', percent], ['status', status], ['delay', delay],
  ];
  const options = given.filter(([, value]) => value !== undefined).map(([name, value]) => ` --${name} ${value}`);
  return `bascule fault inject ${quoted(`${pool}/${backend}`)}${options.join('')}`;
}

/** While the answer is awaited, when it has come, and what the button says. */
export const VERB_WORDS: Record<Verb, { button: string; doing: string; anyway: string }> = {
  drain: { button: 'Drain', doing: 'Draining', anyway: 'Drain anyway' },
  undrain: { button: 'Undrain', doing: 'Taking back', anyway: '' },
  disable: { button: 'Disable', doing: 'Disabling', anyway: 'Disable anyway' },
  enable: { button: 'Enable', doing: 'Enabling', anyway: '' },
  eject: { button: 'Eject', doing: 'Ejecting', anyway: 'Eject anyway' },
  readmit: { button: 'Readmit', doing: 'Readmitting', anyway: '' },
  weight: { button: 'Apply', doing: 'Changing the weight of', anyway: 'Change it anyway' },
  recover: { button: 'Recover', doing: 'Recovering', anyway: '' },
};

export function saysOf(verb: Verb, backend: Backend): string {
  switch (verb) {
    case 'drain':
      return backend.in_flight > 0 ? `Sends nothing new to it; what is in flight (${backend.in_flight}) finishes.` : 'Sends nothing new to it; what is in flight finishes.';
    case 'undrain':
      return 'Sends requests to it again.';
    case 'disable':
      return 'Sends nothing new to it and does not check its health: for maintenance.';
    case 'enable':
      return 'Checks it and sends requests to it again.';
    case 'eject':
      return 'Takes it out for a while, as if traffic had found it failing.';
    case 'readmit':
      return 'Lets it return before its time, on probation.';
    case 'weight':
      return 'Changes its share of its tier.';
    case 'recover':
      return 'Ends its faults; health checks decide when it is fit.';
  }
}

/** What Undo would do, for whoever does not see what it is about. */
export function undoWords(undo: Order, name: string): string {
  return undo.verb === 'weight' ? `give ${name} the weight ${undo.weight ?? NONE} again` : `${VERB_WORDS[undo.verb].button.toLowerCase()} ${name}`;
}

/** What was done, once it is. */
export function doneWords(order: Order, name: string, inFlight: number): string {
  switch (order.verb) {
    case 'drain':
    case 'disable': {
      const out = order.verb === 'drain' ? 'draining' : 'disabled';
      return inFlight > 0 ? `${name} is ${out}; ${inFlight} in flight may finish.` : `${name} is ${order.verb === 'drain' ? 'drained' : out}: nothing is in flight.`;
    }
    case 'undrain':
    case 'enable':
      return `${name} gets requests again as soon as it is eligible.`;
    case 'eject':
      return `${name} is ejected for ${(order.length ?? '').replace(/([a-z])/, '\u00a0$1')}.`;
    case 'readmit':
      return `${name} is readmitted, on probation.`;
    case 'weight':
      return `${name} has weight ${order.weight ?? NONE}.`;
    case 'recover':
      return `${name} has no injected fault left.`;
  }
}

/** What takes an order back, if that makes sense; only while nobody else has ordered since. */
export function undoOf(order: Order, before: Backend): Order | null {
  switch (order.verb) {
    case 'drain':
      return { verb: 'undrain', expect: { intent: 'draining' } };
    case 'disable':
      return { verb: 'enable', expect: { intent: 'disabled' } };
    case 'eject':
      return { verb: 'readmit' };
    case 'weight':
      return { verb: 'weight', weight: before.weight, ...(order.weight === undefined ? {} : { expect: { weight: order.weight } }) };
    case 'undrain':
    case 'enable':
    case 'readmit':
    case 'recover':
      return null;
  }
}

/** "Kept through a reload and an upgrade, not through a restart." */
export function persistWords(persists: Persists): string {
  const all = [
    { word: 'a reload', kept: persists.reload },
    { word: 'an upgrade', kept: persists.upgrade },
    { word: 'a restart', kept: persists.restart },
  ];
  const kept = all.filter((it) => it.kept).map((it) => it.word);
  const not = all.filter((it) => !it.kept).map((it) => it.word);
  if (not.length === 0) return `Kept through ${names(kept.slice(0, 2))} and a restart.`;
  if (kept.length === 0) return `Lost with ${names(not.slice(0, 2))}.`;
  return `Kept through ${names(kept)}, not through ${names(not)}.`;
}

/** Which part of the pool's traffic a backend would get with this weight; null where nobody can say. */
export function expectedShare(pool: Pool, backend: Backend, weight: number): number | null {
  const part = pool.shares[tierIndex(pool, backend.tier)];
  if (part === undefined) return null;
  const others = pool.backends.filter((it) => it.tier === backend.tier && it.name !== backend.name && it.eligible);
  const rest = others.reduce((sum, it) => sum + it.weight, 0);
  return rest + weight === 0 ? part / (others.length + 1) : (part * weight) / (rest + weight);
}

/** Shares are listed by tiers, and tiers count from 0 without gaps. */
function tierIndex(pool: Pool, tier: number): number {
  return [...new Set(pool.backends.map((it) => it.tier))].sort((a, b) => a - b).indexOf(tier);
}

export function shareWords(pool: Pool, backend: Backend, weight: number): string {
  const share = expectedShare(pool, backend, weight);
  if (share === null) return '';
  const said = ratio(Math.round(share * 1000) / 1000);
  if (pool.active_tier !== backend.tier && share === 0 && weight > 0) return 'Its tier gets no traffic now.';
  const idle = backend.eligible ? '' : ' once it is eligible';
  const spare = weight === 0 && share === 0 ? ': a spare' : '';
  return `Would get ${said} of the traffic${spare}${idle}.`;
}

/** A refusal that whoever insists can override. */
export function canForce(problem: Problem): boolean {
  return problem.status === 409 && (problem.code === 'last_eligible' || problem.remedy.includes('`force`'));
}

export interface Difference {
  what: string;
  expected: string;
  found: string;
}

const FIELD_WORD: Record<string, string> = { intent: 'intent', weight: 'weight', active: 'active backend', condition: 'condition' };

/** Of a refusal because things have changed: what was seen, and what is so. */
export function differences(expect: Readonly<Record<string, unknown>> | undefined, present: unknown): Difference[] {
  if (expect === undefined || typeof present !== 'object' || present === null) return [];
  const now = present as Record<string, unknown>;
  return Object.entries(expect)
    .filter(([key, value]) => key in now && now[key] !== value)
    .map(([key, value]) => ({ what: FIELD_WORD[key] ?? key, expected: plain(value), found: plain(now[key]) }));
}

/** A value as people read it. */
export function plain(value: unknown): string {
  if (value === null || value === undefined) return 'none';
  if (typeof value === 'string') return value;
  return JSON.stringify(value);
}

export interface Move {
  verb: 'failover' | 'failback';
  /** The tier that traffic goes to; null where the proxy chooses. */
  to: number | null;
  /** The active backend that was seen. */
  active: string | null;
  force?: boolean;
}

export function moveBody(move: Move): Record<string, unknown> {
  return {
    ...(move.verb === 'failover' && move.to !== null ? { to: `tier ${move.to}` } : {}),
    ...(move.active === null ? {} : { expect: { active: move.active } }),
    ...(move.force === true ? { force: true } : {}),
  };
}

export function moveCommand(pool: string, move: Move): string {
  const to = move.verb === 'failover' && move.to !== null ? ` --to 'tier ${move.to}'` : '';
  const force = move.force === true ? ' --force' : '';
  const expect = move.active === null ? '' : ` --expect ${quoted(`active=${move.active}`)}`;
  return `bascule ${move.verb} ${quoted(pool)}${to}${force}${expect}`;
}

/** Why the traffic of a pool cannot be moved on, or null. */
export function failoverRefused(pool: Pool): string | null {
  if (laterTiers(pool).length === 0) return `${pool.name} has no later tier`;
  return pool.active_tier === null ? 'nothing serves now' : null;
}

export function failbackRefused(pool: Pool): string | null {
  if (pool.returnable_tier !== null) return null;
  const first = Math.min(...pool.backends.map((it) => it.tier));
  if (pool.active_tier === null) return 'nothing serves now';
  if (pool.active_tier === first) return 'the preferred tier serves';
  return `no tier before tier ${pool.active_tier} can serve`;
}

export interface TierFacts {
  number: number;
  members: Backend[];
  eligible: Backend[];
}

export function laterTiers(pool: Pool): TierFacts[] {
  const after = pool.active_tier ?? -1;
  const numbers = [...new Set(pool.backends.map((it) => it.tier))].filter((it) => it > after).sort((a, b) => a - b);
  return numbers.map((number) => tierFacts(pool, number));
}

export function tierFacts(pool: Pool, number: number): TierFacts {
  const members = pool.backends.filter((it) => it.tier === number);
  return { number, members, eligible: members.filter((it) => it.eligible) };
}
