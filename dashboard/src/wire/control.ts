// What operators ask and order, and what the sidecar answers: types, and from `unknown` to them.

import { amount, anything, flag, list, nullable, number, object, oneOf, text, timestamp } from './shape';
import type { Decoder } from './shape';
import type { Timestamp } from './types';

export interface WhoAmI {
  kind: 'token' | 'certificate' | 'local' | 'anonymous';
  name: string | null;
  role: 'operator' | 'viewer' | 'none';
  address: string;
}

export const whoAmI: Decoder<WhoAmI> = object<WhoAmI>({
  kind: oneOf('token', 'certificate', 'local', 'anonymous'),
  name: nullable(text),
  role: oneOf('operator', 'viewer', 'none'),
  address: text,
});

export const ticket: Decoder<{ ticket: string }> = object<{ ticket: string }>({ ticket: text });

/** What an order outlives. */
export interface Persists {
  reload: boolean;
  upgrade: boolean;
  restart: boolean;
}

const persists = object<Persists>({ reload: flag, upgrade: flag, restart: flag });

export interface BackendOrdered {
  backend: { name: string; weight: number; intent: string; in_flight: number; is_eligible: boolean; share: number };
  is_done: boolean;
  persists: Persists;
}

export const backendOrdered: Decoder<BackendOrdered> = object<BackendOrdered>({
  backend: object<BackendOrdered['backend']>({ name: text, weight: amount, intent: text, in_flight: amount, is_eligible: flag, share: amount }),
  is_done: flag,
  persists,
});

export interface PoolOrdered {
  pool: { name: string; active_tier: number | null; active_backend: string | null; held_tier: number | null };
  is_done: boolean;
  persists: Persists;
}

export const poolOrdered: Decoder<PoolOrdered> = object<PoolOrdered>({
  pool: object<PoolOrdered['pool']>({ name: text, active_tier: nullable(amount), active_backend: nullable(text), held_tier: nullable(amount) }),
  is_done: flag,
  persists,
});

export interface AuditEntry {
  id: number;
  at: Timestamp;
  who: { kind: string; name: string | null; address: string | null; speaks_for: string | null; is_relayed: boolean };
  request: string | null;
  action: string | null;
  target: string | null;
  before: unknown;
  after: unknown;
  result: 'done' | 'refused' | 'failed';
  status: number | null;
  code: string | null;
  reason: string | null;
}

export const audit: Decoder<{ entries: AuditEntry[] }> = object<{ entries: AuditEntry[] }>({
  entries: list(
    object<AuditEntry>({
      id: amount,
      at: timestamp,
      who: object<AuditEntry['who']>({ kind: text, name: nullable(text), address: nullable(text), speaks_for: nullable(text), is_relayed: flag }),
      request: nullable(text),
      action: nullable(text),
      target: nullable(text),
      before: anything,
      after: anything,
      result: oneOf('done', 'refused', 'failed'),
      status: nullable(amount),
      code: nullable(text),
      reason: nullable(text),
    }),
  ),
});

export interface Change {
  kind: 'added' | 'removed' | 'changed';
  path: string;
  before: unknown;
  after: unknown;
}

export interface ConfigFault {
  code: string;
  severity: 'error' | 'warning';
  path: string | null;
  line: number | null;
  column: number | null;
  message: string;
  remedy: string;
}

/** How an attempt to load a configuration ended, or would end. */
export interface Reload {
  at: Timestamp;
  trigger: string;
  result: 'applied' | 'unchanged' | 'refused' | 'accepted';
  generation: number;
  took_seconds: number;
  changes: Change[];
  needs_restart: string[];
  problems: ConfigFault[];
}

export const reload: Decoder<Reload> = object<Reload>({
  at: timestamp,
  trigger: text,
  result: oneOf('applied', 'unchanged', 'refused', 'accepted'),
  generation: amount,
  took_seconds: number,
  changes: list(object<Change>({ kind: oneOf('added', 'removed', 'changed'), path: text, before: anything, after: anything })),
  needs_restart: list(text),
  problems: list(
    object<ConfigFault>({
      code: text,
      severity: oneOf('error', 'warning'),
      path: nullable(text),
      line: nullable(amount),
      column: nullable(amount),
      message: text,
      remedy: text,
    }),
  ),
});

export interface Config {
  generation: number;
  loaded_at: Timestamp;
  files: string[];
  last_reload: Reload | null;
}

export const config: Decoder<Config> = object<Config>({
  generation: amount,
  loaded_at: timestamp,
  files: list(text),
  last_reload: nullable(reload),
});

export interface ProcessFacts {
  pid: number;
  version: string;
  generation: number;
  started_at: Timestamp;
  state: string;
  is_ready: boolean;
  reason: string | null;
  connections: number;
  requests_in_flight: number;
  predecessor: number | null;
  latest_upgrade: { at: Timestamp; result: string; reason: string | null; version: string | null } | null;
}

export const processFacts: Decoder<ProcessFacts> = object<ProcessFacts>({
  pid: amount,
  version: text,
  generation: amount,
  started_at: timestamp,
  state: text,
  is_ready: flag,
  reason: nullable(text),
  connections: amount,
  requests_in_flight: amount,
  predecessor: nullable(amount),
  latest_upgrade: nullable(
    object<NonNullable<ProcessFacts['latest_upgrade']>>({ at: timestamp, result: text, reason: nullable(text), version: nullable(text) }),
  ),
});
