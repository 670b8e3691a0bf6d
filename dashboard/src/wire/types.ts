// What the page works with: what the sidecar says it sends, in the types generated from its code. Where those
// say no more than "a string", the words that the page knows are named here, and decoders hold answers to
// them; where the page reads a part, that part is named. The log's lines, what is asked for and what is said
// of an error are in no generated type, and written by hand.
//
// Times are RFC 3339 UTC with milliseconds; durations are seconds and say so in their names.

import type * as sent from './generated';

export type { BackendState, Evidence, Failback, Fault, Incident, LastCheck, LastMinute, Latency, Moments, Persists, Series } from './generated';
export type { AuditEntry, Cause, Change, IncidentState } from './generated';

/** With fewer values for some fields. */
type Narrow<T, N extends { [K in keyof N]: K extends keyof T ? T[K] : never }> = Omit<T, keyof N> & N;

type Timestamp = string;

/** What operators want of a backend; how it is does not depend on it. */
export type Intent = 'enabled' | 'draining' | 'disabled';

export interface Backend extends Narrow<sent.Backend, { intent: Intent }> {}
export interface Pool extends Narrow<sent.Pool, { backends: Backend[] }> {}
export interface Health extends Narrow<sent.Health, { pools: Pool[] }> {}

/** One value for each step; null where the proxy did not run, or where nothing can be said. */
export type Column = sent.Series['requests'];

type Frame<K extends sent.FeedFrame['type']> = Extract<sent.FeedFrame, { type: K }>;
export type FeedFrame =
  | Narrow<Omit<Frame<'snapshot'>, 'schema'>, { health: Health }>
  | Narrow<Frame<'change'>, { health: Health }>
  | Frame<'series'>;

export interface WhoAmI
  extends Narrow<Omit<sent.WhoAmI, 'schema' | 'is_relayed'>, { kind: 'token' | 'certificate' | 'local' | 'anonymous'; role: 'operator' | 'viewer' | 'none' }> {}

export interface BackendOrdered extends Pick<sent.BackendAnswer, 'persists'> {
  backend: Pick<sent.OrderedBackend, 'in_flight'>;
}

export interface PoolOrdered extends Pick<sent.PoolAnswer, 'is_done' | 'persists'> {
  pool: Pick<sent.OrderedPool, 'active_backend' | 'held_tier'>;
}

export interface ConfigFault extends Narrow<sent.ConfigFault, { severity: 'error' | 'warning' }> {}

/** How an attempt to load a configuration ended, or would end. */
export interface Reload
  extends Narrow<Omit<sent.Reload, 'schema'>, { result: 'applied' | 'unchanged' | 'refused' | 'accepted'; problems: ConfigFault[] }> {}

export interface Config extends Omit<sent.Config, 'schema' | 'config' | 'last_reload'> {
  last_reload: Reload | null;
}

export interface Process extends Narrow<Omit<sent.Process, 'schema' | 'successor'>, { state: 'serving' | 'upgrading' | 'draining' }> {}

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

export interface ErrorBody {
  code: string;
  message: string;
  remedy: string;
  /** How things are, where they are not as was expected. */
  present: unknown;
}
