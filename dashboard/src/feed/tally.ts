// What each backend did in the last minute, from the counters that every answer carries.

import { effect, signal } from '@preact/signals';
import type { Health } from '../wire/types';
import { keyOf } from './key';
import { health } from './store';

export interface Minute {
  /** Attempts ended, and failed ones among them, in about a minute. */
  requests: number;
  failures: number;
}

interface Reading {
  at: number;
  counts: Map<string, Minute>;
}

const SPAN_MS = 60_000;
const NONE: Minute = { requests: 0, failures: 0 };

export class Tally {
  #readings: Reading[] = [];
  #epoch = '';

  clear(): void {
    this.#readings = [];
  }

  read(value: Health): void {
    const at = Date.parse(value.now);
    if (value.started_at !== this.#epoch) this.#readings = [];
    this.#epoch = value.started_at;
    const counts = new Map<string, Minute>();
    for (const pool of value.pools) {
      for (const { name, requests, failures } of pool.backends) counts.set(keyOf(pool.name, name), { requests, failures });
    }
    this.#readings.push({ at, counts });
    const first = this.#readings.findLastIndex((it) => it.at <= at - SPAN_MS);
    if (first > 0) this.#readings.splice(0, first);
  }

  /** Null while there is nothing to compare with. */
  of(pool: string, backend: string): Minute | null {
    const newest = this.#readings[this.#readings.length - 1];
    const oldest = this.#readings[0];
    if (newest === undefined || oldest === undefined || newest === oldest) return null;
    const key = keyOf(pool, backend);
    const now = newest.counts.get(key) ?? NONE;
    const then = oldest.counts.get(key) ?? NONE;
    // Counters that went back began anew.
    const isSame = now.requests >= then.requests && now.failures >= then.failures;
    return isSame ? { requests: now.requests - then.requests, failures: now.failures - then.failures } : now;
  }
}

const tally = new Tally();
const version = signal(0);

export function startTally(): void {
  effect(() => {
    const sample = health.value;
    if (sample === null) return tally.clear();
    tally.read(sample.value);
    version.value = sample.at;
  });
}

export function minuteOf(pool: string, backend: string): Minute | null {
  void version.value;
  return tally.of(pool, backend);
}
