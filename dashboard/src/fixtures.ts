// Answers of the API for unit tests: a quiet pool of two, to be changed where a test needs it.

import type { Backend, Health, Incident, LogLine, Pool, Series } from './wire/types';

export const T = '2026-03-12T09:03:13.012Z';

export function backend(change: Partial<Backend> = {}): Backend {
  return {
    name: 'primary', url: 'http://127.0.0.1:3001', tier: 0, weight: 100, configured_weight: 100, state: 'up', intent: 'enabled', ejected_by_operator: false, eligible: true, active: true,
    reason: null, since: T, ejected_until: null, in_flight: 0, requests: 12, failures: 0,
    last_check: { at: T, result: 'pass', duration_seconds: 0.0007, detail: '200 OK' }, fault: null, ...change,
  };
}

export const SECONDARY: Partial<Backend> = { name: 'secondary', url: 'http://127.0.0.1:3002', tier: 1, active: false };

export function pool(change: Partial<Pool> = {}): Pool {
  return {
    name: 'api', status: 'serving', active_tier: 0, active_backend: 'primary', since: T, shares: [1, 0],
    failback: null, returnable_tier: null, held_tier: null, failing_open: false, open_incident: null,
    last_minute: { requests: 12000, lost: 0, rescued: 0, error_ratio: 0, requests_per_second: 200, p50_seconds: 0.001, p99_seconds: 0.004 },
    backends: [backend(), backend(SECONDARY)], ...change,
  };
}

export function health(change: Partial<Health> = {}): Health {
  return {
    schema: 1, now: T, version: '0.1.0', started_at: T, ready: true, fault_injection: true, active: 'primary',
    pools: [pool()], ...change,
  };
}

export function incident(change: Partial<Incident> = {}): Incident {
  return {
    id: 'api-1', pool: 'api', backend: 'primary', state: 'closed', cause: 'crash', detected_by: 'traffic', requested: false, interrupted: false,
    from_tier: 0, to_tier: 1, to_backend: 'secondary', evidence: [{ at: T, source: 'traffic', detail: 'connection refused' }],
    moments: { suspected_at: T, decided_at: T, serving_at: T, stable_at: null, recovered_at: null, failed_back_at: null },
    detection_seconds: 0.013, switch_seconds: 0.0004, window: { from: T, to: null },
    requests: { total: 200, rescued: 5, rescued_by_retry: 3, rescued_by_hedge: 2, lost: 0, extra_attempts: 6, error_ratio: 0 },
    latency: { before: { requests: 10, p50_seconds: 0.001, p99_seconds: null }, during: null, after: null }, ...change,
  };
}

export function series(change: Partial<Series> = {}): Series {
  return {
    schema: 1, pool: 'api', step_seconds: 1, start: 1000, requests: [10, 10, 4], lost: [0, 1, 0], rescued: [0, 2, 0],
    p50_seconds: [0.001, 0.002, null], p99_seconds: [0.004, 0.3, null],
    backends: { primary: [10, 0, 0], secondary: [0, 10, 4] }, ...change,
  };
}

export function line(seq: number, change: Partial<LogLine> = {}): LogLine {
  const at = new Date(Date.parse(T) + seq).toISOString();
  return { seq, at, level: 'info', target: 'fleet', message: `line ${seq}`, fields: { pool: 'api' }, ...change };
}
