// What came over the wire, unknown → typed, or a DecodeError that the page shows.

import { DecodeError, amount, anything, flag, list, nullable, number, object, oneOf, record, text, timestamp } from './shape';
import type { Decoder } from './shape';
import type * as sent from './generated';
import type * as wire from './types';

const latency = object<wire.Latency>({
  requests: amount,
  p50_seconds: nullable(amount),
  p99_seconds: nullable(amount),
});

const backend = object<wire.Backend>({
  name: text,
  url: text,
  tier: amount,
  weight: amount,
  configured_weight: amount,
  state: oneOf('up', 'failing', 'down', 'ejected', 'unknown'),
  intent: oneOf('enabled', 'draining', 'disabled'),
  ejected_by_operator: flag,
  eligible: flag,
  active: flag,
  reason: nullable(text),
  since: timestamp,
  ejected_until: nullable(timestamp),
  in_flight: amount,
  requests: amount,
  failures: amount,
  last_check: nullable(
    object<wire.LastCheck>({
      at: timestamp,
      result: oneOf('pass', 'fail', 'timeout'),
      duration_seconds: amount,
      detail: text,
    }),
  ),
  fault: nullable(
    object<wire.Fault>({
      mode: text,
      scope: text,
      percent: amount,
      status: nullable(amount),
      delay_min_seconds: nullable(amount),
      delay_max_seconds: nullable(amount),
      ends_at: timestamp,
      remaining_seconds: number,
    }),
  ),
});

const pool = object<wire.Pool>({
  name: text,
  status: oneOf('serving', 'degraded', 'failed_over', 'down'),
  active_tier: nullable(amount),
  active_backend: nullable(text),
  since: timestamp,
  shares: list(amount),
  failback: nullable(
    object<wire.Failback>({ to_tier: amount, at: timestamp, remaining_seconds: number, share: amount }),
  ),
  returnable_tier: nullable(amount),
  held_tier: nullable(amount),
  failing_open: flag,
  open_incident: nullable(text),
  last_minute: object<wire.LastMinute>({
    requests: amount,
    lost: amount,
    rescued: amount,
    error_ratio: amount,
    requests_per_second: amount,
    p50_seconds: nullable(amount),
    p99_seconds: nullable(amount),
  }),
  backends: list(backend),
});

export const health = object<wire.Health>({
  schema: amount,
  now: timestamp,
  version: text,
  started_at: timestamp,
  ready: flag,
  fault_injection: flag,
  active: nullable(text),
  pools: list(pool),
});

export const incident = object<wire.Incident>({
  id: text,
  pool: text,
  backend: text,
  state: oneOf('open', 'serving', 'recovered', 'closed'),
  cause: oneOf('crash', 'hang', 'slow', 'errors', 'grey', 'truncation', 'partition', 'injected', 'drained', 'manual', 'unknown'),
  detected_by: oneOf('traffic', 'health_check', 'operator'),
  requested: flag,
  interrupted: flag,
  from_tier: amount,
  to_tier: nullable(amount),
  to_backend: nullable(text),
  evidence: list(
    object<wire.Evidence>({
      at: timestamp,
      source: oneOf('traffic', 'health_check'),
      detail: text,
    }),
  ),
  moments: object<wire.Moments>({
    suspected_at: timestamp,
    decided_at: timestamp,
    serving_at: nullable(timestamp),
    stable_at: nullable(timestamp),
    recovered_at: nullable(timestamp),
    failed_back_at: nullable(timestamp),
  }),
  detection_seconds: amount,
  switch_seconds: nullable(amount),
  window: object<sent.Window>({ from: timestamp, to: nullable(timestamp) }),
  requests: object<sent.Requests>({
    total: amount,
    rescued: amount,
    rescued_by_retry: amount,
    rescued_by_hedge: amount,
    lost: amount,
    extra_attempts: amount,
    error_ratio: amount,
  }),
  latency: object<sent.Latencies>({
    before: nullable(latency),
    during: nullable(latency),
    after: nullable(latency),
  }),
});

export const incidents = object<sent.Incidents>({
  schema: amount,
  incidents: list(incident),
});

/** Numbers in a row, quickly: a day of seconds has many. */
const column: Decoder<wire.Column> = (value, path) => {
  if (!Array.isArray(value)) throw new DecodeError(path, 'a list', value);
  for (const [index, it] of value.entries()) {
    if (it !== null && !(typeof it === 'number' && it >= 0)) throw new DecodeError(`${path}[${index}]`, 'a number of at least 0', it);
  }
  return value as wire.Column;
};

const rawSeries = object<wire.Series>({
  schema: amount,
  pool: text,
  step_seconds: amount,
  start: number,
  requests: column,
  lost: column,
  rescued: column,
  p50_seconds: column,
  p99_seconds: column,
  backends: record(column),
});

/** The longest series the page takes: a day of seconds. More is a mistake, not a history. */
const SERIES_POINTS_MAX = 86_400;

/** Columns of unequal length would draw a chart that lies, so they are refused. */
export const series: Decoder<wire.Series> = (value, path) => {
  const decoded = rawSeries(value, path);
  const points = decoded.requests.length;
  if (points > SERIES_POINTS_MAX) throw new DecodeError('requests', `at most ${SERIES_POINTS_MAX} points`, points);
  if (!(decoded.step_seconds > 0)) throw new DecodeError('step_seconds', 'more than 0', decoded.step_seconds);
  const columns: [string, wire.Column][] = [
    ['lost', decoded.lost],
    ['rescued', decoded.rescued],
    ['p50_seconds', decoded.p50_seconds],
    ['p99_seconds', decoded.p99_seconds],
    ...Object.entries(decoded.backends).map(([name, it]): [string, wire.Column] => [`backends.${name}`, it]),
  ];
  for (const [name, it] of columns) {
    if (it.length !== points) throw new DecodeError(name, `${points} points`, it.length);
  }
  return decoded;
};

const logLine = object<wire.LogLine>({
  seq: amount,
  at: timestamp,
  level: oneOf('error', 'warn', 'info', 'debug'),
  target: text,
  message: text,
  fields: record(anything),
});

const hello = object<{ schema: number; recent: number }>({ schema: amount, recent: amount });
const lines = object<{ lines: wire.LogLine[] }>({ lines: list(logLine) });
const dropped = object<{ count: number }>({ count: amount });
const frameType = object<{ type: 'hello' | 'lines' | 'dropped' }>({ type: oneOf('hello', 'lines', 'dropped') });

export const logFrame: Decoder<wire.LogFrame> = (value, path) => {
  const { type } = frameType(value, path);
  switch (type) {
    case 'hello':
      return { type, ...hello(value, path) };
    case 'lines':
      return { type, ...lines(value, path) };
    case 'dropped':
      return { type, ...dropped(value, path) };
  }
};

export const failAccepted = object<Pick<sent.FailAccepted, 'mode'>>({ mode: text });

export const recovered = object<Pick<sent.Recovered, 'recovered'>>({ recovered: list(text) });

export const errorBody = object<{ error: wire.ErrorBody }>({
  error: object<wire.ErrorBody>({ code: text, message: text, remedy: text, present: anything }),
});
