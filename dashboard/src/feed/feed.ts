// Wires the page to the API: what is asked, and which signal each answer lands in.

import { batch } from '@preact/signals';
import * as control from '../wire/control';
import * as decode from '../wire/decode';
import type { FailRequest, Incident } from '../wire/types';
import { call } from './api';
import type { Answer } from './api';
import { openFeed } from './feedsocket';
import type { Feed, Socket } from './feedsocket';
import type { Known } from './frames';
import { startPoll } from './poll';
import type { Poll, Sink, Source } from './poll';
import * as store from './store';
import { admitted } from './ticket';
import { token } from './token';
import { browser, wsUrl } from './world';

/** Enough for shares, and for the charts to grow by; the rest of the past is asked for by `past.ts`. */
const SERIES_SECONDS = 30;
const INCIDENTS_MAX = 100;
/** Countdowns and ages show whole seconds, so four looks a second never skip one. */
const TICK_MS = 250;

const source: Source = {
  health: () => call({ path: '/api/proxy/health', decode: decode.health }),
  incidents: async () => {
    const answer = await call({ path: `/api/incidents?limit=${INCIDENTS_MAX}`, decode: decode.incidents });
    return answer.ok ? { ok: true, value: answer.value.incidents } : answer;
  },
  series: () => {
    const pool = store.pool.value;
    if (pool === null) return null;
    const query = new URLSearchParams({ pool: pool.name, seconds: String(SERIES_SECONDS) });
    return call({ path: `/api/series?${query}`, decode: decode.series });
  },
};

/** Why the process wants no traffic; asked only then. */
async function followProcess(isReady: boolean): Promise<void> {
  if (isReady) {
    store.notReady.value = null;
    return;
  }
  const answer = await call({ path: '/api/process', decode: control.process });
  if (answer.ok) store.notReady.value = answer.value.is_ready ? null : answer.value;
}

const sink: Sink = {
  health: (value) => {
    batch(() => store.acceptHealth(value, Date.now()));
    void followProcess(value.ready);
  },
  incidents: (answer) =>
    batch(() => {
      store.incidentsProblem.value = answer.ok ? null : answer.problem;
      if (answer.ok) store.incidents.value = { value: answer.value, at: Date.now() };
    }),
  series: (answer) =>
    batch(() => {
      store.seriesProblem.value = answer.ok ? null : answer.problem;
      if (answer.ok && answer.value.pool === store.pool.value?.name) {
        store.series.value = { value: answer.value, at: Date.now() };
      }
    }),
  lost: (problem, retryAt) => store.acceptLoss(problem, retryAt, Date.now()),
  trying: () => {
    const before = store.connection.value;
    if (before.kind === 'lost') store.connection.value = { ...before, trying: true };
  },
};

/** Null while the WebSocket says everything. */
let poll: Poll | null = null;
let feed: Feed | null = null;

function usePoll(): void {
  poll ??= startPoll(source, sink, browser);
}

function accept(known: Known): void {
  poll?.stop();
  poll = null;
  // Points come between two states of health, and make neither of them younger.
  if (store.health.peek()?.value !== known.health || store.connection.peek().kind !== 'live') sink.health(known.health);
  if (store.incidents.value?.value !== known.incidents) sink.incidents({ ok: true, value: known.incidents });
  if (known.series !== null && store.series.value?.value !== known.series) sink.series({ ok: true, value: known.series });
}

async function connect(query: string): Promise<Socket | null> {
  const url = await admitted(wsUrl('/feed', query), '/feed');
  return url === null ? null : (new WebSocket(url) as Socket);
}

function follow(): void {
  feed?.stop();
  feed = openFeed({ connect, pool: () => store.pool.value?.name ?? null, seconds: SERIES_SECONDS, onKnown: accept, onDown: usePoll }, browser);
}

/** Asks at once, and goes on asking until the WebSocket speaks, and whenever it does not. */
export function startFeed(): void {
  window.setInterval(() => {
    store.tick.value = Date.now();
  }, TICK_MS);
  // Somebody else is asking from now on, and may be shown something else: no answer to the one before counts.
  token.subscribe(() => {
    poll?.stop();
    poll = null;
    usePoll();
    follow();
  });
  document.addEventListener('visibilitychange', () => {
    if (!document.hidden) retryNow();
  });
}

export function retryNow(): void {
  poll?.now();
  feed?.now();
}

/** Shows another pool; what was drawn for the one before is put away at once. */
export function selectPool(name: string): void {
  if (store.pool.value?.name === name) return;
  batch(() => {
    store.selectedPool.value = name;
    store.series.value = null;
  });
  feed?.watch();
  poll?.now();
}

export async function fail(request: FailRequest): Promise<Answer<unknown>> {
  const answer = await call({ path: '/api/proxy/fail', method: 'POST', body: request, decode: decode.failAccepted });
  poll?.now();
  return answer;
}

export async function recover(pool: string, backend: string): Promise<Answer<unknown>> {
  const body = { pool, backend };
  const answer = await call({ path: '/api/proxy/recover', method: 'POST', body, decode: decode.recovered });
  poll?.now();
  return answer;
}

export function fetchIncident(id: string): Promise<Answer<Incident>> {
  return call({ path: `/api/incidents/${encodeURIComponent(id)}`, decode: decode.incident });
}
