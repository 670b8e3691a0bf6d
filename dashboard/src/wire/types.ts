// The shapes the sidecar sends, written by hand, field for field. Times are RFC 3339 UTC
// with milliseconds; durations are seconds and say so in their names.

export type Timestamp = string;

export type PoolStatus = 'serving' | 'degraded' | 'failed_over' | 'down';
export type BackendState = 'up' | 'failing' | 'down' | 'ejected' | 'unknown';
/** What operators want of a backend; how it is does not depend on it. */
export type Intent = 'enabled' | 'draining' | 'disabled';
export type FaultMode = string;

export interface Health {
  schema: number;
  now: Timestamp;
  version: string;
  started_at: Timestamp;
  ready: boolean;
  fault_injection: boolean;
  active: string | null;
  pools: Pool[];
}

export interface Pool {
  name: string;
  status: PoolStatus;
  active_tier: number | null;
  active_backend: string | null;
  since: Timestamp;
  /** Which part of the traffic each tier gets, 0 to 1. */
  shares: number[] | null;
  failback: Failback | null;
  /** The tier that POST /proxy/failback would return traffic to. */
  returnable_tier: number | null;
  /** The tier that an operator moved the pool to, until traffic is asked back. */
  held_tier: number | null;
  /** Nothing is eligible, and requests are sent to any backend all the same. */
  failing_open: boolean | null;
  open_incident: string | null;
  last_minute: LastMinute;
  backends: Backend[];
}

export interface Failback {
  to_tier: number;
  at: Timestamp;
  remaining_seconds: number;
  /** Which part of the traffic has returned, 0 to 1. */
  share: number | null;
}

export interface LastMinute {
  requests: number;
  lost: number;
  rescued: number;
  error_ratio: number;
  requests_per_second: number;
  p50_seconds: number | null;
  p99_seconds: number | null;
}

export interface Backend {
  name: string;
  url: string;
  tier: number;
  /** As last ordered. */
  weight: number;
  /** Null from a proxy that does not say. */
  configured_weight: number | null;
  state: BackendState;
  intent: Intent | null;
  ejected_by_operator: boolean | null;
  eligible: boolean;
  active: boolean;
  reason: string | null;
  since: Timestamp;
  ejected_until: Timestamp | null;
  in_flight: number;
  requests: number;
  failures: number;
  last_check: LastCheck | null;
  fault: Fault | null;
}

export interface LastCheck {
  at: Timestamp;
  result: 'pass' | 'fail' | 'timeout';
  duration_seconds: number;
  detail: string;
}

export interface Fault {
  mode: FaultMode;
  scope: string;
  percent: number;
  ends_at: Timestamp | null;
  remaining_seconds: number | null;
}

export type IncidentState = 'open' | 'serving' | 'recovered' | 'closed';
export type IncidentCause =
  | 'crash'
  | 'hang'
  | 'slow'
  | 'errors'
  | 'grey'
  | 'truncation'
  | 'partition'
  | 'injected'
  | 'drained'
  | 'manual'
  | 'unknown';

export interface IncidentList {
  schema: number;
  incidents: Incident[];
}

export interface Incident {
  id: string;
  pool: string;
  backend: string;
  state: IncidentState;
  cause: IncidentCause;
  detected_by: 'traffic' | 'health_check' | 'operator';
  /** An operator asked for it. */
  requested: boolean;
  from_tier: number;
  to_tier: number | null;
  to_backend: string | null;
  evidence: Evidence[];
  moments: Moments;
  detection_seconds: number;
  switch_seconds: number | null;
  window: { from: Timestamp; to: Timestamp | null };
  requests: Requests;
  latency: { before: Latency | null; during: Latency | null; after: Latency | null };
}

/** The requests that finished inside an incident's window. */
export interface Requests {
  total: number;
  /** In either way. */
  rescued: number;
  rescued_by_retry: number;
  rescued_by_hedge: number;
  lost: number;
  /** Attempts beyond the first of each. */
  extra_attempts: number;
  error_ratio: number;
}

export interface Evidence {
  at: Timestamp;
  source: 'traffic' | 'health_check' | 'operator';
  detail: string;
}

export interface Moments {
  suspected_at: Timestamp;
  decided_at: Timestamp;
  serving_at: Timestamp | null;
  stable_at: Timestamp | null;
  recovered_at: Timestamp | null;
  failed_back_at: Timestamp | null;
}

export interface Latency {
  requests: number;
  p50_seconds: number | null;
  p99_seconds: number | null;
}

/** One value for each step; null where the proxy did not run, or where nothing can be said. */
export type Column = readonly (number | null)[];

export interface Series {
  schema: number;
  pool: string;
  step_seconds: number;
  /** Unix seconds of the first point. */
  start: number;
  requests: Column;
  lost: Column;
  rescued: Column;
  p50_seconds: Column;
  p99_seconds: Column;
  /** Attempts answered in each step, by backend. */
  backends: Record<string, Column>;
}

/** Answer of GET /process. */
export interface Process {
  state: 'serving' | 'upgrading' | 'draining';
  is_ready: boolean;
  /** Why no traffic is wanted. */
  reason: string | null;
  requests_in_flight: number;
}

export type LogLevel = 'error' | 'warn' | 'info' | 'debug';

export interface LogLine {
  seq: number;
  at: Timestamp;
  level: LogLevel;
  target: string;
  message: string;
  fields: Record<string, unknown>;
}

export type LogFrame =
  | { type: 'hello'; schema: number; recent: number }
  | { type: 'lines'; lines: LogLine[] }
  | { type: 'dropped'; count: number };

/** Body of POST /proxy/fail. */
export interface FailRequest {
  pool: string;
  backend: string;
  mode: InjectableMode;
  for?: string;
  scope?: FaultScope;
  percent?: number;
  status?: number;
  delay?: string;
}

export type InjectableMode = 'crash' | 'refuse' | 'blackhole' | 'hang' | 'reset' | 'truncate' | 'error' | 'slow';
export type FaultScope = 'all' | 'traffic' | 'checks';

export interface FailAccepted {
  pool: string;
  backend: string;
  mode: string;
  accepted_at: Timestamp;
  ends_at: Timestamp | null;
}

export interface Recovered {
  recovered: string[];
}

export interface ErrorBody {
  code: string;
  message: string;
  remedy: string;
  /** How things are, where they are not as was expected. */
  present: unknown;
}
