// Which backends the table shows, and in what order. Pure.

import type { Backend, Pool } from '../wire/types';
import type { Minute } from './tally';
import { isPlanned } from './verdict';

/** Above so many backends a pool is a table rather than cards. */
export const CARDS_MAX = 12;

export interface Row {
  backend: Backend;
  /** 0 to 1; null while unknown. */
  share: number | null;
  minute: Minute | null;
  /** Seconds, of the last minute; null while unknown or without requests. */
  p99: number | null;
}

export type SortKey = 'name' | 'health' | 'tier' | 'weight' | 'share' | 'in_flight' | 'p99' | 'errors' | 'check';
export type Only = 'all' | 'trouble' | 'serving';

export interface TableChoice {
  /** Null is the pool's own order: by tier, as configured. */
  sort: SortKey | null;
  isDescending: boolean;
  text: string;
  only: Only;
}

const HEALTH_RANK: Record<Backend['state'], number> = { down: 0, ejected: 1, failing: 2, unknown: 3, up: 4 };

/** Something about it wants to be looked at. */
function isTroubled(backend: Backend): boolean {
  return backend.state !== 'up' || !backend.eligible || backend.fault !== null || isPlanned(backend);
}

const KEYS: Record<SortKey, (row: Row) => number | string> = {
  name: (row) => row.backend.name,
  health: (row) => HEALTH_RANK[row.backend.state] + (isPlanned(row.backend) ? 0.5 : 0),
  tier: (row) => row.backend.tier,
  weight: (row) => row.backend.weight,
  share: (row) => row.share ?? -1,
  in_flight: (row) => row.backend.in_flight,
  p99: (row) => row.p99 ?? -1,
  errors: (row) => row.minute?.failures ?? row.backend.failures,
  check: (row) => row.backend.last_check?.duration_seconds ?? -1,
};

const byName = new Intl.Collator('en', { numeric: true });

export function chosenRows(rows: readonly Row[], choice: TableChoice): Row[] {
  const words = choice.text.toLowerCase().split(/\s+/).filter(Boolean);
  const kept = rows.filter(({ backend }) => {
    if (choice.only === 'trouble' && !isTroubled(backend)) return false;
    if (choice.only === 'serving' && !backend.active) return false;
    if (words.length === 0) return true;
    const text = `${backend.name} ${backend.url} ${backend.state} ${backend.intent} ${backend.reason ?? ''} ${backend.last_check?.detail ?? ''}`.toLowerCase();
    return words.every((word) => text.includes(word));
  });
  const { sort } = choice;
  if (sort === null) return kept.sort((a, b) => a.backend.tier - b.backend.tier);
  const sign = choice.isDescending ? -1 : 1;
  return kept.sort((a, b) => {
    const left = KEYS[sort](a);
    const right = KEYS[sort](b);
    const order = typeof left === 'string' || typeof right === 'string' ? byName.compare(String(left), String(right)) : left - right;
    return order === 0 ? byName.compare(a.backend.name, b.backend.name) : sign * order;
  });
}

/** What one click on a heading makes of the choice: the telling end first, then the other, then the pool's order. */
export function resorted(choice: TableChoice, key: SortKey): Pick<TableChoice, 'sort' | 'isDescending'> {
  const first = key === 'share' || key === 'in_flight' || key === 'p99' || key === 'errors' || key === 'check';
  if (choice.sort !== key) return { sort: key, isDescending: first };
  if (choice.isDescending === first) return { sort: key, isDescending: !first };
  return { sort: null, isDescending: false };
}

export interface TierSummary {
  tier: number;
  backends: number;
  eligible: number;
  isActive: boolean;
  share: number | null;
}

export function tiersOf(pool: Pool, rows: readonly Row[]): TierSummary[] {
  const tiers = [...new Set(pool.backends.map((it) => it.tier))].sort((a, b) => a - b);
  return tiers.map((tier) => {
    const mine = rows.filter((it) => it.backend.tier === tier);
    const share = mine.some((it) => it.share !== null) ? mine.reduce((sum, it) => sum + (it.share ?? 0), 0) : null;
    return { tier, backends: mine.length, eligible: mine.filter((it) => it.backend.eligible).length, isActive: pool.active_tier === tier, share };
  });
}
