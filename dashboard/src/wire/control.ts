// What the sidecar answers to whoever operates it: from `unknown` to types.

import type * as sent from './generated';
import { amount, anything, flag, list, nullable, number, object, oneOf, text, timestamp } from './shape';
import type * as wire from './types';

export const whoAmI = object<wire.WhoAmI>({
  kind: oneOf('token', 'certificate', 'local', 'anonymous'),
  name: nullable(text),
  role: oneOf('operator', 'viewer', 'none'),
  address: text,
});

export const ticket = object<Pick<sent.Ticket, 'ticket'>>({ ticket: text });

const persists = object<wire.Persists>({ reload: flag, upgrade: flag, restart: flag });

export const backendOrdered = object<wire.BackendOrdered>({
  backend: object<wire.BackendOrdered['backend']>({ in_flight: amount }),
  persists,
});

export const poolOrdered = object<wire.PoolOrdered>({
  pool: object<wire.PoolOrdered['pool']>({ active_backend: nullable(text), held_tier: nullable(amount) }),
  is_done: flag,
  persists,
});

export const audit = object<Pick<sent.Audit, 'entries'>>({
  entries: list(
    object<wire.AuditEntry>({
      id: amount,
      at: timestamp,
      who: object<sent.Who>({ kind: text, name: nullable(text), address: nullable(text), speaks_for: nullable(text), is_relayed: flag }),
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

export const reload = object<wire.Reload>({
  at: timestamp,
  trigger: text,
  result: oneOf('applied', 'unchanged', 'refused', 'accepted'),
  generation: amount,
  took_seconds: number,
  changes: list(object<wire.Change>({ kind: oneOf('added', 'removed', 'changed'), path: text, before: anything, after: anything })),
  needs_restart: list(text),
  problems: list(
    object<wire.ConfigFault>({
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

export const config = object<wire.Config>({
  generation: amount,
  loaded_at: timestamp,
  files: list(text),
  last_reload: nullable(reload),
});

export const process = object<wire.Process>({
  pid: amount,
  version: text,
  generation: amount,
  started_at: timestamp,
  state: oneOf('serving', 'upgrading', 'draining'),
  is_ready: flag,
  reason: nullable(text),
  connections: amount,
  requests_in_flight: amount,
  predecessor: nullable(amount),
  latest_upgrade: nullable(object<sent.Upgrade>({ at: timestamp, result: text, reason: nullable(text), version: nullable(text) })),
});
