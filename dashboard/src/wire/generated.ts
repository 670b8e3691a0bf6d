// What the sidecar sends, as it says itself. Generated from proxy/src/admin/wire: do not edit;
// `make regen` writes it anew, and a test of the proxy says when that is due.

/** The answer to `GET /audit`. */
export interface Audit {
  /** Newest first. */
  entries: AuditEntry[];
  /** See [`SCHEMA`](crate::admin::wire::SCHEMA). */
  schema: number;
}

/** A change, or the attempt at one. */
export interface AuditEntry {
  /** What was done, such as `fault.inject`; `null` when it was refused before that was known. */
  action: string | null;
  /** The same, as it was afterwards. */
  after: unknown;
  /** When it had been done, or refused. */
  at: string;
  /** What was changed, as it was before. */
  before: unknown;
  /** Of a refusal or a failure: the word for programs. */
  code: string | null;
  /** Counts up from 1 in each process. */
  id: number;
  /** Of a refusal or a failure: the reason, for people. */
  reason: string | null;
  /** Method and path; `null` for what no request brought about. */
  request: string | null;
  /** How it ended. */
  result: AuditResult;
  /** The status of the answer; `null` for what no request brought about. */
  status: number | null;
  /** What it was done to. */
  target: string | null;
  /** Who. */
  who: Who;
}

/** How a change ended. */
export type AuditResult = 'done' | 'refused' | 'failed';

/** One backend. */
export interface Backend {
  /** Whether it is eligible and of a tier that gets traffic. */
  active: boolean;
  /** The same, as configured. */
  configured_weight: number;
  /** Whether an operator has ejected it. */
  ejected_by_operator: boolean;
  /** When it may be picked again, if it is ejected. */
  ejected_until: string | null;
  /** Whether it may be picked. */
  eligible: boolean;
  /** Attempts that failed, ever. */
  failures: number;
  /** What an operator injected, while it lasts. */
  fault: Fault | null;
  /** Attempts that have begun and not ended. */
  in_flight: number;
  /** What operators want of it: `enabled`, `draining` or `disabled`. */
  intent: string;
  /** The latest health check. */
  last_check: LastCheck | null;
  /** Unique in its pool. */
  name: string;
  /** The latest sign of trouble, until all is well again. */
  reason: string | null;
  /** Attempts that ended, ever. */
  requests: number;
  /** Since when it is in this state. */
  since: string;
  /** In one word. */
  state: BackendState;
  /** 0 is preferred. */
  tier: number;
  /** As configured. */
  url: string;
  /** In relation to those of its tier, as last ordered. */
  weight: number;
}

/** The answer to an order about a backend. */
export interface BackendAnswer {
  /** The backend, as it is now. */
  backend: OrderedBackend;
  /** Whether what was ordered has come about: a drained backend has nothing in flight, one that shall serve is eligible. */
  is_done: boolean;
  /** What the order outlives. */
  persists: Persists;
  /** See [`SCHEMA`]. */
  schema: number;
}

/** How a backend is, in one word. */
export type BackendState = 'up' | 'failing' | 'down' | 'ejected' | 'unknown';

/** The class of a failure, judged from outside. */
export type Cause = 'crash' | 'hang' | 'slow' | 'errors' | 'grey' | 'truncation' | 'partition' | 'injected' | 'drained' | 'manual' | 'unknown';

/** One difference. */
export interface Change {
  /** What is there; `null` when it was removed. */
  after: unknown;
  /** What was there; `null` when it was added. */
  before: unknown;
  /** What became of it. */
  kind: Kind;
  /** The keys that lead to it, with dots between; entries of lists by their name in brackets. */
  path: string;
}

/** How a health check ended. */
export type CheckResult = 'pass' | 'fail' | 'timeout';

/** What is configured at present. */
export interface Config {
  /** All of it, every default in its place. */
  config: unknown;
  /** Where it is from; empty if from no file. */
  files: string[];
  /** Counts from 1, the configuration at start. */
  generation: number;
  /** The latest attempt to load another; `null` before any. */
  last_reload: Reload | null;
  /** Since when it is in use. */
  loaded_at: string;
  /** See [`SCHEMA`](crate::admin::wire::SCHEMA). */
  schema: number;
}

/** Something wrong with a configuration. */
export interface ConfigFault {
  /** Names the kind of problem. */
  code: string;
  /** Counted from 1. */
  column: number | null;
  /** Counted from 1. */
  line: number | null;
  /** What is wrong. */
  message: string;
  /** The key, where it is about one. */
  path: string | null;
  /** What to do. */
  remedy: string;
  /** `error` or `warning`. */
  severity: string;
}

/** What took a backend out. */
export type DetectedBy = 'traffic' | 'health_check' | 'operator';

/** One sign of trouble. */
export interface Evidence {
  /** When it was seen. */
  at: string;
  /** What was seen. */
  detail: string;
  /** Who saw it. */
  source: Source;
}

/** The answer to `POST /proxy/fail`. */
export interface FailAccepted {
  /** When. */
  accepted_at: string;
  /** The backend's name. */
  backend: string;
  /** The most that answers are late by, with the mode `slow`. */
  delay_max_seconds: number | null;
  /** The least that answers are late by, with the mode `slow`. */
  delay_min_seconds: number | null;
  /** When the fault ends by itself; `null` for a crash. */
  ends_at: string | null;
  /** What goes wrong. */
  mode: string;
  /** The share of those, 1 to 100. */
  percent: number;
  /** The pool's name. */
  pool: string;
  /** For whom: `all`, `traffic` or `checks`. */
  scope: string;
  /** The status answered, with the mode `error`. */
  status: number | null;
}

/** A return of traffic that waits for its hold-down, or is under way. */
export interface Failback {
  /** When all of it is back, if the tier stays able to serve. */
  at: string;
  /** How long until then. */
  remaining_seconds: number;
  /** Which part of the traffic has returned, 0 to 1. */
  share: number;
  /** The tier that gets its traffic back. */
  to_tier: number;
}

/** A fault under way. */
export interface Fault {
  /** The most that answers are late by, with the mode `slow`. */
  delay_max_seconds: number | null;
  /** The least that answers are late by, with the mode `slow`. */
  delay_min_seconds: number | null;
  /** When it ends by itself. */
  ends_at: string;
  /** What goes wrong. */
  mode: string;
  /** The share of those, 1 to 100. */
  percent: number;
  /** How long until then. */
  remaining_seconds: number;
  /** For whom: `all`, `traffic` or `checks`. */
  scope: string;
  /** The status answered, with the mode `error`. */
  status: number | null;
}

/** What the sidecar says. */
export type FeedFrame =
  | {
      /** The whole state. */
      health: Health;
      /** The latest incidents, newest first. */
      incidents: Incident[];
      /** See [`SCHEMA`](crate::admin::wire::SCHEMA). */
      schema: number;
      /** The number of the change that it holds last. A reader that comes again says it. */
      seq: number;
      type: 'snapshot';
    }
  | {
      /** The state, of pools only those that changed, and of their backends only those that changed. */
      health: Health;
      /** Those that are new or changed, newest first. */
      incidents: Incident[];
      /** One more than before. */
      seq: number;
      type: 'change';
    }
  | {
      /** The points. */
      series: Series;
      type: 'series';
    };

/** The whole state. */
export interface Health {
  /** The first pool's active backend. */
  active: string | null;
  /** Whether faults may be injected. */
  fault_injection: boolean;
  /** When this was seen. */
  now: string;
  /** In the order of the configuration. */
  pools: Pool[];
  /** Whether traffic may be sent to this process. */
  ready: boolean;
  /** See [`SCHEMA`](crate::admin::wire::SCHEMA). */
  schema: number;
  /** When the process started to serve. */
  started_at: string;
  /** The proxy's release. */
  version: string;
}

/** One incident. */
export interface Incident {
  /** The backend that was lost. */
  backend: string;
  /** The class of the failure. */
  cause: Cause;
  /** What took the backend out. */
  detected_by: DetectedBy;
  /** From the first sign of trouble to the decision. */
  detection_seconds: number;
  /** The first signs of trouble. */
  evidence: Evidence[];
  /** The tier that served before. */
  from_tier: number;
  /** Its pool's name, and its number there. */
  id: string;
  /** Whether the proxy ended before the story did: what came after is not known. */
  interrupted: boolean;
  /** What it did to latency. */
  latency: Latencies;
  /** When each part of the story happened. */
  moments: Moments;
  /** The pool's name. */
  pool: string;
  /** Whether an operator asked for it. */
  requested: boolean;
  /** What the failover cost. */
  requests: Requests;
  /** How far the story has got. */
  state: IncidentState;
  /** From the decision to the first success elsewhere. */
  switch_seconds: number | null;
  /** The first eligible backend of that tier. */
  to_backend: string | null;
  /** The tier that took over; `null` while none has. */
  to_tier: number | null;
  /** What the counts cover. */
  window: Window;
}

/** How far an incident's story has got. */
export type IncidentState = 'open' | 'serving' | 'recovered' | 'closed';

/** A list of incidents. */
export interface Incidents {
  /** Newest first. */
  incidents: Incident[];
  /** See [`SCHEMA`](crate::admin::wire::SCHEMA). */
  schema: number;
}

/** What became of a part of a configuration. */
export type Kind = 'added' | 'removed' | 'changed';

/** The latest health check. */
export interface LastCheck {
  /** When it ended. */
  at: string;
  /** In words. */
  detail: string;
  /** How long it took. */
  duration_seconds: number;
  /** How it ended. */
  result: CheckResult;
}

/** The requests that finished in the last sixty seconds, or since the start if that is less. */
export interface LastMinute {
  /** Lost ones in all, 0 to 1. */
  error_ratio: number;
  /** Ended in an error of the proxy's or a backend's making. */
  lost: number;
  /** Median latency; `null` without requests. */
  p50_seconds: number | null;
  /** 99th percentile of latency; `null` without requests. */
  p99_seconds: number | null;
  /** All that finished. */
  requests: number;
  /** On average. */
  requests_per_second: number;
  /** Answered well after a failed attempt. */
  rescued: number;
}

/** Latency before, inside and after the window. */
export interface Latencies {
  /** The ten seconds after it, once they have passed. */
  after: Latency | null;
  /** The ten seconds before the window. */
  before: Latency | null;
  /** The window. */
  during: Latency | null;
}

/** Latency over some time. */
export interface Latency {
  /** Median. */
  p50_seconds: number | null;
  /** 99th percentile. */
  p99_seconds: number | null;
  /** How many were measured. */
  requests: number;
}

/** When each part of the story happened. */
export interface Moments {
  /** The backend was taken out. */
  decided_at: string;
  /** Traffic returned to the tier. */
  failed_back_at: string | null;
  /** The backend was fit to be picked again. */
  recovered_at: string | null;
  /** The first success elsewhere. */
  serving_at: string | null;
  /** The first second without a failed attempt began. */
  stable_at: string | null;
  /** The first sign of trouble. */
  suspected_at: string;
}

/** A backend that did not say that it recovered. */
export interface NotRecovered {
  /** The backend's name. */
  backend: string;
  /** Why not. */
  message: string;
  /** The pool's name. */
  pool: string;
}

/** One backend, as operators order it about. */
export interface OrderedBackend {
  /** How it is: `up`, `failing`, `down`, `ejected` or `unknown`. */
  condition: string;
  /** The same, as configured. */
  configured_weight: number;
  /** When it may be picked again, if it is ejected. */
  ejected_until: string | null;
  /** Attempts that have begun and not ended. */
  in_flight: number;
  /** What operators want of it: `enabled`, `draining` or `disabled`. */
  intent: string;
  /** Whether it is eligible and of a tier that gets traffic. */
  is_active: boolean;
  /** Whether it may be picked. */
  is_eligible: boolean;
  /** The latest health check. */
  last_check: LastCheck | null;
  /** Unique in its pool. */
  name: string;
  /** Its pool's name. */
  pool: string;
  /** Which part of the pool's requests it gets at present, 0 to 1. */
  share: number;
  /** Since when it is in this condition. */
  since: string;
  /** 0 is preferred. */
  tier: number;
  /** The latest sign of trouble, until all is well again. */
  trouble: string | null;
  /** As configured. */
  url: string;
  /** In relation to those of its tier, as last ordered. */
  weight: number;
}

/** One pool, as operators order it about. */
export interface OrderedPool {
  /** The active tier's first eligible backend. */
  active_backend: string | null;
  /** The tier that serves; `null` when nothing can. */
  active_tier: number | null;
  /** The tier that an operator moved the pool to, until traffic is asked back. */
  held_tier: number | null;
  /** Unique. */
  name: string;
  /** The tier that a failback would return traffic to. */
  returnable_tier: number | null;
  /** Which part of the traffic each tier gets, 0 to 1, in order of preference. */
  shares: number[];
}

/** What an order outlives. */
export interface Persists {
  /** A reload; unless its configuration changes the very weight that was ordered, or gives the backend another address: whoever serves there is another backend, of which nobody has ordered anything. */
  reload: boolean;
  /** A restart. */
  restart: boolean;
  /** An upgrade. */
  upgrade: boolean;
}

/** One pool. */
export interface Pool {
  /** The active tier's first eligible backend. */
  active_backend: string | null;
  /** The tier that serves; `null` when nothing can. */
  active_tier: number | null;
  /** In the order of the configuration. */
  backends: Backend[];
  /** The return of traffic to a preferred tier, if one is waited for or under way. */
  failback: Failback | null;
  /** Whether nothing is eligible and requests are sent to any backend all the same. */
  failing_open: boolean;
  /** The tier that an operator moved the pool to, until traffic is asked back. */
  held_tier: number | null;
  /** What clients got. */
  last_minute: LastMinute;
  /** Unique. */
  name: string;
  /** The latest incident, while it is not closed. */
  open_incident: string | null;
  /** The tier that `POST /proxy/failback` would return traffic to. */
  returnable_tier: number | null;
  /** Which part of the traffic each tier gets, 0 to 1, in order of preference. */
  shares: number[];
  /** Since when the active tier serves, or nothing does. */
  since: string;
  /** In one word. */
  status: PoolStatus;
}

/** The answer to an order about a pool. */
export interface PoolAnswer {
  /** Whether all traffic is where it was ordered to go. */
  is_done: boolean;
  /** What the order outlives. */
  persists: Persists;
  /** The pool, as it is now. */
  pool: OrderedPool;
  /** See [`SCHEMA`]. */
  schema: number;
}

/** How a pool is, in one word. */
export type PoolStatus = 'serving' | 'degraded' | 'failed_over' | 'down';

/** The answer to `GET /process`. */
export interface Process {
  /** Clients' connections. */
  connections: number;
  /** How many processes there have been that took over one from another, this one included. */
  generation: number;
  /** Whether traffic is wanted. */
  is_ready: boolean;
  /** The latest attempt at an upgrade. */
  latest_upgrade: Upgrade | null;
  /** The process id. */
  pid: number;
  /** Process id of the one that this one has taken over from. */
  predecessor: number | null;
  /** Why not. */
  reason: string | null;
  /** Requests that have begun and not ended, WebSockets included. */
  requests_in_flight: number;
  /** Of this answer. */
  schema: number;
  /** When it began to serve. */
  started_at: string;
  /** `serving`, `upgrading`: another one has been started to take over; or `draining`: it is about to end. */
  state: string;
  /** Process id of the one that has taken over from this one. */
  successor: number | null;
  /** The version of the program. */
  version: string;
}

/** The answer to `POST /proxy/recover`. */
export interface Recovered {
  /** Backends that did not say so. */
  not_recovered: NotRecovered[];
  /** Backends that have no fault left. */
  recovered: string[];
}

/** How an attempt to load a configuration ended. */
export interface Reload {
  /** When. */
  at: string;
  /** What it says otherwise than the one in use before. */
  changes: Change[];
  /** The configuration that is in use since. */
  generation: number;
  /** Of those, the ones that wait for another process. */
  needs_restart: string[];
  /** All that is wrong, or probably not meant so. */
  problems: ConfigFault[];
  /** `applied`, `unchanged` or `refused`; `accepted` if it was only to be tried. */
  result: string;
  /** See [`SCHEMA`](crate::admin::wire::SCHEMA). */
  schema: number;
  /** How long it took. */
  took_seconds: number;
  /** What asked for it: `api`, `signal` or `files`. */
  trigger: string;
}

/** The requests that finished inside the window. */
export interface Requests {
  /** Lost ones in all, 0 to 1. */
  error_ratio: number;
  /** Attempts beyond the first of each: what the failure added to the load. */
  extra_attempts: number;
  /** Ended in an error of the proxy's or a backend's making. */
  lost: number;
  /** Answered well by another attempt than the first; the sum of the next two. */
  rescued: number;
  /** By an attempt begun beside a slow one. */
  rescued_by_hedge: number;
  /** After a failed attempt. */
  rescued_by_retry: number;
  /** All that finished. */
  total: number;
}

/** Columns of equal length, oldest first. Where the proxy did not run, every column holds `null`. */
export interface Series {
  /** Attempts answered, by backend: of those that are configured, and of those that were and answered any. */
  backends: Record<string, (number | null)[]>;
  /** Ended in an error of the proxy's or a backend's making. */
  lost: (number | null)[];
  /** Median latency, of all requests of a point together; `null` without requests. */
  p50_seconds: (number | null)[];
  /** 99th percentile of latency, likewise. */
  p99_seconds: (number | null)[];
  /** The pool's name. */
  pool: string;
  /** All that finished. */
  requests: (number | null)[];
  /** Answered well after a failed attempt. */
  rescued: (number | null)[];
  /** See [`SCHEMA`]. */
  schema: number;
  /** The Unix time of the first point, a multiple of the step. */
  start: number;
  /** From one point to the next: 1, 10 or 60. */
  step_seconds: number;
}

/** Who saw a sign of trouble. */
export type Source = 'traffic' | 'health_check';

/** The answer to `POST /tickets`. */
export interface Ticket {
  /** Until when. */
  expires_at: string;
  /** The path that it is good for. */
  path: string;
  /** See [`SCHEMA`](crate::admin::wire::SCHEMA). */
  schema: number;
  /** What to add to the WebSocket's address, as `?ticket=…`. Good once. */
  ticket: string;
}

/** An attempt at an upgrade. */
export interface Upgrade {
  /** When it ended. */
  at: string;
  /** Why it failed. */
  reason: string | null;
  /** `completed` or `failed`. */
  result: string;
  /** The version of the program that has taken over. */
  version: string | null;
}

/** Who made a change. */
export interface Who {
  /** The address that they came from; `null` for a signal. */
  address: string | null;
  /** Whether they came through a listener of the data plane. */
  is_relayed: boolean;
  /** By what they are known: `token`, `certificate`, `local`, `anonymous`, or `signal`. */
  kind: string;
  /** What the configuration calls them, where it does; of a signal, which. */
  name: string | null;
  /** For whom else the caller says that it speaks. Unproven. */
  speaks_for: string | null;
}

/** The answer to `GET /whoami`. */
export interface WhoAmI {
  /** The address that you come from. */
  address: string;
  /** Whether you come through a listener of the data plane. */
  is_relayed: boolean;
  /** By what you are known: `token`, `certificate`, `local` or `anonymous`. */
  kind: string;
  /** What the configuration calls you, where it does. */
  name: string | null;
  /** What you may do: `operator`, `viewer` or `none`. */
  role: string;
  /** See [`SCHEMA`](crate::admin::wire::SCHEMA). */
  schema: number;
}

/** What the counts cover, in whole 100 ms. */
export interface Window {
  /** The first slot begins. */
  from: string;
  /** The last slot ends; `null` while traffic has not settled. */
  to: string | null;
}
