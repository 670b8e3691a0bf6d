// What the page knows, as signals. It holds no truth of its own: everything here came from the
// API and carries the moment it came, so that the view can say how old it is.

import { computed, signal } from '@preact/signals';
import { complete } from './complete';
import type { Problem } from './api';
import type { Health, Incident, Pool, Process, Series, WhoAmI } from '../wire/types';

/** A value and when it arrived (browser clock, ms). */
export interface Sample<T> {
  value: T;
  at: number;
}

export type Connection =
  | { kind: 'loading'; since: number }
  | { kind: 'live' }
  | { kind: 'lost'; since: number; problem: Problem; retryAt: number; trying: boolean };

export const connection = signal<Connection>({ kind: 'loading', since: Date.now() });
export const health = signal<Sample<Health> | null>(null);
export const incidents = signal<Sample<Incident[]> | null>(null);
export const incidentsProblem = signal<Problem | null>(null);
export const series = signal<Sample<Series> | null>(null);
/** The series without the second still under way. */
export const wholeSeries = computed<Series | null>(() => {
  const sample = series.value;
  return sample === null ? null : complete(sample.value, (sample.at + clockSkew.value) / 1000);
});
export const seriesProblem = signal<Problem | null>(null);
/** When the proxy was last seen to have started anew while this page was open. */
export const restartedAt = signal<string | null>(null);
/** Of a process that wants no traffic: why. Null while it wants some. */
export const notReady = signal<Process | null>(null);
export const selectedPool = signal<string | null>(null);

/** The browser's clock, renewed a few times a second for ages and countdowns. */
export const tick = signal(Date.now());

/** Server clock minus browser clock, ms; what the server says happened "now" then reads as now. */
export const clockSkew = computed(() => {
  const sample = health.value;
  return sample === null ? 0 : Date.parse(sample.value.now) - sample.at;
});

export const pools = computed<Pool[]>(() => health.value?.value.pools ?? []);

/** The pool on view: the one chosen, or the first. */
export const pool = computed<Pool | null>(() => {
  const all = pools.value;
  return all.find((it) => it.name === selectedPool.value) ?? all[0] ?? null;
});

/** What the sidecar takes this page for; null until it has said so. */
export const me = signal<WhoAmI | null>(null);

const NEEDS_OPERATOR = 'needs operator: sign in';

/** Why nothing can be ordered from this page, or null when it can. */
export const ordersRefused = computed<string | null>(() => {
  if (connection.value.kind !== 'live') return 'not connected to the proxy';
  return me.value !== null && me.value.role !== 'operator' ? NEEDS_OPERATOR : null;
});

/** Whether signing in would help. */
export const needsSignIn = computed(() => ordersRefused.value === NEEDS_OPERATOR);

/** The sidecar answers, but not to whoever shows it nothing, or not enough. */
export const isForbidden = computed(() => {
  const state = connection.value;
  return state.kind === 'lost' && (state.problem.status === 401 || state.problem.status === 403);
});

/** Why Fail and Recover cannot be used, or null when they can. */
export const actionsRefused = computed<string | null>(() => {
  if (ordersRefused.value !== null) return ordersRefused.value;
  if (health.value?.value.fault_injection === false) {
    return 'fault injection is off; set admin.fault_injection: true to allow it';
  }
  return null;
});

/** Forgets all that was said. What cannot be had goes on not being had. */
export function clearStore(): void {
  if (connection.peek().kind === 'live') connection.value = { kind: 'loading', since: Date.now() };
  health.value = null;
  incidents.value = null;
  incidentsProblem.value = null;
  series.value = null;
  seriesProblem.value = null;
  restartedAt.value = null;
  notReady.value = null;
}

/** Folds an answered health call in. */
export function acceptHealth(value: Health, at: number): void {
  const before = health.value?.value.started_at;
  if (before !== undefined && before !== value.started_at) restartedAt.value = value.started_at;
  health.value = { value, at };
  if (connection.value.kind !== 'live') connection.value = { kind: 'live' };
}

/** Folds a failed health call in; the loss dates from the first failure in a row. */
export function acceptLoss(problem: Problem, retryAt: number, at: number): void {
  const before = connection.value;
  const since = before.kind === 'lost' ? before.since : at;
  connection.value = { kind: 'lost', since, problem, retryAt, trying: false };
}
