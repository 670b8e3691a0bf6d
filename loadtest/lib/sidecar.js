// The sidecar's side of a run: is the system ready, fail a backend, watch who serves, recover.

import http from 'k6/http';
import exec from 'k6/execution';
import { sleep } from 'k6';
import { Counter } from 'k6/metrics';
import { ADMIN, FAULT, FAULT_DELAY, POOL, READY_WAIT_S, TOKEN } from './settings.js';

// Counted by the proxy itself (bascule_failovers_total), so a switch between two polls is not missed.
const failovers = new Counter('failovers');

function params(name) {
  const headers = { 'Content-Type': 'application/json' };
  if (TOKEN) headers.Authorization = `Bearer ${TOKEN}`;
  return { headers, timeout: '5s', redirects: 0, tags: { kind: 'control', name } };
}

function body(response) {
  try {
    return response.json();
  } catch {
    return null;
  }
}

/** What the sidecar said went wrong, with its remedy, in one line. */
export function complaint(response) {
  const error = (body(response) || {}).error;
  if (error && error.message) {
    const remedy = error.remedy ? `; ${error.remedy}` : '';
    return `${response.status} ${error.code}: ${error.message}${remedy}`;
  }
  return response.status === 0 ? response.error : `status ${response.status}`;
}

function choose(health, name) {
  const pools = (health && health.pools) || [];
  return name ? pools.find((p) => p.name === name) : pools.find((p) => p.backends.length > 0);
}

/** The pool as it is now, or null when the sidecar did not answer. */
export function poolNow(name) {
  const response = http.get(`${ADMIN}/proxy/health`, params('health'));
  return response.status === 200 ? choose(body(response), name) || null : null;
}

// Why the run cannot start; `wait` says that time may mend it.
function obstacle(response, needsFault) {
  if (response.status !== 200) {
    const remedy = 'start the system first ("bascule demo --load 0"), or set ADMIN';
    return { why: `no answer from the sidecar at ${ADMIN} (${complaint(response)}): ${remedy}`, wait: false };
  }
  const health = body(response);
  const pool = choose(health, POOL);
  if (!pool) return { why: `no pool ${POOL || 'with backends'} at ${ADMIN}: set POOL to one that it has`, wait: false };
  if (needsFault && !health.fault_injection) {
    return { why: 'fault injection is disabled: set admin.fault_injection to true, or run "bascule demo"', wait: false };
  }
  if (!health.ready) return { why: `the system is not ready (pool ${pool.name} is ${pool.status})`, wait: true };
  if (pool.active_tier !== 0 || !pool.active_backend) {
    return { why: `pool ${pool.name} is ${pool.status}: its first tier does not serve yet`, wait: true };
  }
  const others = pool.backends.filter((b) => b.eligible && b.name !== pool.active_backend);
  if (needsFault && others.length === 0) {
    return { why: `pool ${pool.name} has no other eligible backend to fail over to`, wait: true };
  }
  return null;
}

/**
 * Waits until the pool serves from its first tier, and aborts the run with the reason when it does not.
 * Returns the pool's name, its active backend and the proxy's count of failovers so far.
 */
export function requireReady({ needsFault }) {
  const deadline = Date.now() + READY_WAIT_S * 1000;
  for (let told = false; ; told = true) {
    const response = http.get(`${ADMIN}/proxy/health`, params('health'));
    const found = obstacle(response, needsFault);
    if (!found) {
      const pool = choose(body(response), POOL);
      return { pool: pool.name, active: pool.active_backend, failovers: failoverCounts(pool.name) };
    }
    if (!found.wait || Date.now() >= deadline) {
      exec.test.abort(`refused to start: ${found.why}`);
      return null;
    }
    if (!told) console.warn(`waiting up to ${READY_WAIT_S} s: ${found.why}`);
    sleep(0.25);
  }
}

/** Fails the pool's active backend, in the way FAULT says unless told otherwise; aborts the run when refused. */
export function failActive(pool, faultFor, mode = FAULT) {
  const order = { pool, mode };
  if (mode !== 'crash') order.for = faultFor;
  if (mode === 'slow') order.delay = FAULT_DELAY;
  const response = http.post(`${ADMIN}/proxy/fail`, JSON.stringify(order), params('fail'));
  if (response.status !== 202) exec.test.abort(`POST ${ADMIN}/proxy/fail refused: ${complaint(response)}`);
}

/** Ends every injected fault of the pool. */
export function recover(pool) {
  const response = http.post(`${ADMIN}/proxy/recover`, JSON.stringify({ pool }), params('recover'));
  if (response.status !== 200) console.warn(`POST ${ADMIN}/proxy/recover: ${complaint(response)}`);
}

/** Polls the pool every 50 ms until `done(pool)`; returns the seconds it took, or null at the deadline. */
export function waitFor(pool, deadline, done) {
  const began = Date.now();
  while (Date.now() < deadline) {
    const now = poolNow(pool);
    if (now && done(now)) return (Date.now() - began) / 1000;
    sleep(0.05);
  }
  return null;
}

/** What the proxy's process takes at present, by its own metrics; null when they are not to be had. */
export function processNow() {
  const response = http.get(`${ADMIN}/metrics`, params('metrics'));
  if (response.status !== 200) return null;
  const value = (name) => {
    const line = response.body.split('\n').find((it) => it.startsWith(`${name} `));
    return line ? Number(line.slice(name.length + 1)) : NaN;
  };
  const bytes = value('process_resident_memory_bytes');
  const descriptors = value('process_open_fds');
  return Number.isFinite(bytes) && Number.isFinite(descriptors)
    ? { residentMib: bytes / (1 << 20), descriptors } : null;
}

/**
 * How many requests whose id begins with `prefix` the pool's backends executed once, and how many more often,
 * at one backend or at several. Null when a backend does not say.
 */
export function executions(pool, prefix) {
  const counts = {};
  for (const backend of (poolNow(pool) || { backends: [] }).backends) {
    const base = backend.url.replace(/\/+$/, '');
    const response = http.get(`${base}/requests`, {
      timeout: '20s', redirects: 0, tags: { kind: 'control', name: 'requests' },
    });
    const executed = (body(response) || {}).executed;
    if (!executed) {
      console.error(`no list of executed requests from ${backend.name} (${base}): ${complaint(response)}`);
      return null;
    }
    for (const [id, known] of Object.entries(executed)) {
      if (id.startsWith(prefix)) counts[id] = (counts[id] || 0) + known.count;
    }
  }
  const all = Object.values(counts).filter((count) => count > 0);
  return { once: all.filter((count) => count === 1).length, twice: all.filter((count) => count > 1).length };
}

function failoverCounts(pool) {
  const response = http.get(`${ADMIN}/metrics`, params('metrics'));
  if (response.status !== 200) return null;
  const counts = { over: 0, back: 0 };
  for (const line of response.body.split('\n')) {
    if (!line.startsWith('bascule_failovers_total{') || !line.includes(`pool="${pool}"`)) continue;
    const value = Number(line.slice(line.lastIndexOf(' ') + 1));
    if (line.includes('direction="over"')) counts.over += value;
    if (line.includes('direction="back"')) counts.back += value;
  }
  return counts;
}

/** Adds the switches that the proxy counted since `requireReady` to the metric `failovers`. */
export function countFailovers(ready) {
  const now = failoverCounts(ready.pool);
  if (!now || !ready.failovers) {
    console.error(`no answer from ${ADMIN}/metrics: switches were not counted`);
    return;
  }
  for (const direction of ['over', 'back']) {
    failovers.add(now[direction] - ready.failovers[direction], { direction });
  }
}
