// Every address, duration and promise that a script uses, each with its environment variable.

// Each of the sidecar's faults, with how long the slowest request may take. An attempt has 2 s unless
// configured otherwise (`per_try_timeout`); one that hangs costs that and a little more.
const FAULT_SECONDS = {
  crash: 1, refuse: 1, blackhole: 1, reset: 1, truncate: 1, error: 1, hang: 2.1, slow: 2.1,
};
const DEFAULT_WORST_SECONDS = Object.fromEntries(
  Object.entries(FAULT_SECONDS).map(([mode, seconds]) => [mode, Math.max(2, seconds + 0.4)]));
const DEFAULT_DURING_P99_MS = Object.fromEntries(
  Object.entries(FAULT_SECONDS).map(([mode, seconds]) => [mode, seconds * 1000]));

function number(name, fallback) {
  const text = __ENV[name];
  if (text === undefined || text === '') return fallback;
  const value = Number(text);
  if (!Number.isFinite(value) || value < 0) {
    throw new Error(`${name}=${text}: not a number of 0 or more; leave it out for ${fallback}`);
  }
  return value;
}

function address(name, fallback) {
  return (__ENV[name] || fallback).replace(/\/+$/, '');
}

function fault() {
  const mode = __ENV.FAULT || 'crash';
  if (!(mode in DEFAULT_WORST_SECONDS)) {
    const known = Object.keys(DEFAULT_WORST_SECONDS).join(', ');
    throw new Error(`FAULT=${mode}: unknown fault; use one of ${known}`);
  }
  return mode;
}

export const TARGET = address('TARGET', 'http://127.0.0.1:8021');
export const ADMIN = address('ADMIN', 'http://127.0.0.1:9901');
export const TOKEN = __ENV.BASCULE_TOKEN || '';
export const POOL = __ENV.POOL || '';
export const REQUEST_PATH = __ENV.REQUEST_PATH || '/api/data';
export const RATE = number('RATE', 200);
export const FAULT = fault();
export const READY_WAIT_S = number('READY_WAIT_S', 45);

/** What the scripts hold Bascule to. Times in milliseconds, ratios of 1. */
export const PROMISE = {
  steadyErrorRatio: number('SLO_ERROR_RATIO', 0.001),
  quietP99: number('SLO_P99_MS', 100),
  duringP99: number('SLO_FAILOVER_P99_MS', DEFAULT_DURING_P99_MS[FAULT]),
  duringErrorRatio: number('SLO_FAILOVER_ERROR_RATIO', 0),
  switchMs: number('SLO_SWITCH_MS', 3000),
  postsLost: number('SLO_POSTS_LOST', Math.ceil(number('POST_RATE', 40) * DEFAULT_WORST_SECONDS[FAULT])),
  growthMib: number('SLO_GROWTH_MIB', 16),
  growthDescriptors: number('SLO_GROWTH_DESCRIPTORS', 16),
};

/** What `mixed` sends beside GET at RATE: requests per second, and conversations at a time. */
export const MIXED = {
  postRate: number('POST_RATE', 40),
  uploadRate: number('UPLOAD_RATE', 4),
  websockets: number('WEBSOCKETS', 10),
};

/** By how much `spike` multiplies RATE. */
export function spikeFactor(fallback) {
  return number('SPIKE', fallback);
}

/** How long latency may take to be what it was before a spike, seconds. */
export function settleSeconds(fallback) {
  return number('SETTLE_S', fallback);
}

/** The faults that `soak` injects, one after another. */
export const FAULTS = (__ENV.SOAK_FAULTS || 'crash,hang,error,slow,refuse').split(',').map((mode) => {
  if (!(mode in DEFAULT_WORST_SECONDS)) throw new Error(`SOAK_FAULTS: unknown fault ${mode}`);
  return mode;
});

/** The schedule of a soak: a fault in the middle of each stretch of `every` seconds. Seconds. */
export function soakPlan() {
  const total = number('SOAK_S', 3600);
  const every = number('SOAK_EVERY_S', 300);
  const lasts = number('SOAK_FAULT_S', Math.min(10, every / 6));
  const faults = [];
  for (let at = every / 4; at + every * 0.75 <= total; at += every) {
    faults.push({ at, mode: FAULTS[faults.length % FAULTS.length], lasts });
  }
  return { total, every, sample: Math.max(1, Math.min(10, total / 100)), faults };
}

/** The schedule: `before` and `after` are quiet, the fault happens in `during`. Seconds. */
export function schedule(defaults) {
  const before = number('PRE_S', defaults.before);
  const during = number('WIN_S', defaults.during);
  const after = number('POST_S', defaults.after);
  return { before, during, after, total: before + during + after };
}

/** How long a fault other than a crash lasts, as the sidecar reads it ("10s"). */
export function faultFor(defaultSeconds) {
  return __ENV.FAULT_FOR || `${defaultSeconds}s`;
}

export const FAULT_DELAY = __ENV.FAULT_DELAY || '3s';

/** Virtual users that can be waiting at once: rate x worst latency, and some to spare. */
export function users(worstSeconds = DEFAULT_WORST_SECONDS[FAULT]) {
  return usersFor(RATE, number('WORST_S', worstSeconds));
}

/** The same for another rate. */
export function usersFor(rate, worstSeconds) {
  return Math.ceil(rate * worstSeconds) + 10;
}
