// Constant-rate GET traffic through the data plane, labelled with the phase of the schedule.

import http from 'k6/http';
import exec from 'k6/execution';
import { check } from 'k6';
import { Counter } from 'k6/metrics';
import { RATE, REQUEST_PATH, TARGET, users, usersFor } from './settings.js';

// Which backend answered, by phase: the picture of traffic moving.
const answers = new Counter('answers');

/** System tags that the thresholds and the agreement check need; fewer tags, less work per request. */
export const SYSTEM_TAGS = ['name', 'status', 'error_code', 'expected_response', 'scenario', 'check'];
export const TREND_STATS = ['med', 'p(90)', 'p(99)', 'max'];

/**
 * The traffic scenario. The model is open: requests start at the rate whatever the proxy does, so a slow
 * proxy cannot slow its own load. All users exist from the start, because making one in mid-run costs an
 * iteration.
 */
export function traffic(totalSeconds, worstSeconds) {
  const ready = users(worstSeconds);
  return {
    executor: 'constant-arrival-rate',
    exec: 'request',
    rate: RATE,
    timeUnit: '1s',
    duration: `${totalSeconds}s`,
    preAllocatedVUs: ready,
    maxVUs: ready * 2,
    gracefulStop: '20s',
    tags: { kind: 'traffic' },
  };
}

/** Other requests at a constant rate, by the function `exec`; at most two seconds of them wait at a time. */
export function constantRate(exec, rate, totalSeconds) {
  const ready = usersFor(rate, 2.5);
  return {
    executor: 'constant-arrival-rate', exec, rate, timeUnit: '1s', duration: `${totalSeconds}s`,
    preAllocatedVUs: ready, maxVUs: ready * 2, gracefulStop: '20s',
  };
}

/** The same traffic, `factor` times as much during the middle of the schedule, from one moment to the next. */
export function spikingTraffic(schedule, factor) {
  const ready = usersFor(RATE * factor, 0.5);
  const rate = (target, seconds) => [{ target, duration: '0s' }, { target, duration: `${seconds}s` }];
  return {
    executor: 'ramping-arrival-rate', exec: 'request', startRate: RATE, timeUnit: '1s',
    preAllocatedVUs: ready, maxVUs: ready * 2, gracefulStop: '20s', tags: { kind: 'traffic' },
    stages: [...rate(RATE, schedule.before), ...rate(RATE * factor, schedule.during), ...rate(RATE, schedule.after)],
  };
}

/** The scenario that breaks something, once: a little into `during`, so that no request of `before` meets it. */
export function breakage(schedule) {
  return {
    executor: 'per-vu-iterations',
    exec: 'fault',
    vus: 1,
    iterations: 1,
    startTime: `${schedule.before * 1000 + 100}ms`,
    maxDuration: `${schedule.during}s`,
  };
}

/** The phase that the schedule says it is. Users share no memory, so the clock is all they have in common. */
export function phaseNow(schedule) {
  const seconds = (Date.now() - exec.scenario.startTime) / 1000;
  if (seconds < schedule.before) return 'before';
  return seconds < schedule.before + schedule.during ? 'during' : 'after';
}

/** One GET, tagged with `phase`, which must be a 200 from a named backend. Returns the response. */
export function get(phase) {
  const response = http.get(`${TARGET}${REQUEST_PATH}`, {
    tags: { phase, name: `GET ${REQUEST_PATH}` },
    redirects: 0,
    timeout: '20s',
  });
  const backend = response.headers['X-Backend'] || 'none';
  check(response, { '200 from a backend': (r) => r.status === 200 && backend !== 'none' }, { phase });
  answers.add(1, { phase, backend });
  return response;
}

/** Thresholds of one phase: it has samples, and keeps the given error ratio and p99. */
export function phaseThresholds(phase, { errorRatio, p99, abort }) {
  const limit = errorRatio === 0 ? 'rate==0' : `rate<${errorRatio}`;
  const failed = abort ? { threshold: limit, abortOnFail: true, delayAbortEval: '10s' } : limit;
  return {
    // Without this, a phase in which nothing was sent would read as a pass.
    [`http_reqs{phase:${phase}}`]: ['count>0'],
    [`http_req_failed{phase:${phase}}`]: [failed],
    [`http_req_duration{phase:${phase}}`]: [`p(99)<${p99}`],
    [`checks{phase:${phase}}`]: [errorRatio === 0 ? 'rate==1' : `rate>${1 - errorRatio}`],
  };
}

/** Thresholds of a phase that is told of and promises nothing but that there is one: k6 keeps no numbers without. */
export function phaseIsTold(phase) {
  return {
    [`http_reqs{phase:${phase}}`]: ['count>0'],
    [`http_req_failed{phase:${phase}}`]: ['rate<=1'],
    [`http_req_duration{phase:${phase}}`]: ['max>=0'],
  };
}

/** The generator kept its rate: no request of the schedule was left out. */
export const GENERATOR_KEPT_UP = { dropped_iterations: ['count==0'] };
