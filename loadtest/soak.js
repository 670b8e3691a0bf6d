// Does anything grow, wear out or get lost in hours of traffic with a failure every few minutes?

import exec from 'k6/execution';
import { sleep } from 'k6';
import { Counter, Gauge } from 'k6/metrics';
import { FAULTS, PROMISE, soakPlan } from './lib/settings.js';
import { countFailovers, failActive, processNow, recover, requireReady, waitFor } from './lib/sidecar.js';
import { GENERATOR_KEPT_UP, SYSTEM_TAGS, TREND_STATS, get, phaseThresholds, traffic } from './lib/traffic.js';
import { summary } from './lib/summary.js';
import { growth } from './lib/growth.js';

const plan = soakPlan();

const injected = new Counter('faults_injected');
const returned = new Counter('faults_survived');
const rss = new Gauge('resident_mib');
const grown = new Gauge('resident_growth_mib');
const descriptors = new Gauge('open_descriptors_growth');

export const options = {
  scenarios: {
    traffic: traffic(plan.total),
    faults: {
      executor: 'per-vu-iterations', exec: 'faults', vus: 1, iterations: 1, maxDuration: `${plan.total}s`,
    },
    watch: {
      executor: 'per-vu-iterations', exec: 'watch', vus: 1, iterations: 1, maxDuration: `${plan.total + 5}s`,
    },
  },
  systemTags: SYSTEM_TAGS,
  summaryTrendStats: TREND_STATS,
  setupTimeout: '2m',
  thresholds: {
    ...phaseThresholds('soak', { errorRatio: PROMISE.duringErrorRatio, p99: PROMISE.duringP99, abort: true }),
    ...GENERATOR_KEPT_UP,
    faults_injected: [`count==${plan.faults.length}`],
    faults_survived: [`count==${plan.faults.length}`],
    'failovers{direction:over}': [`count==${plan.faults.length}`],
    resident_growth_mib: [`value<${PROMISE.growthMib}`],
    open_descriptors_growth: [`value<${PROMISE.growthDescriptors}`],
  },
};

export function setup() {
  return requireReady({ needsFault: true });
}

export function request() {
  get('soak');
}

/** One fault after another, each when its time has come and the pool is back where it began. */
export function faults(ready) {
  for (const fault of plan.faults) {
    const wait = exec.scenario.startTime + fault.at * 1000 - Date.now();
    if (wait > 0) sleep(wait / 1000);
    failActive(ready.pool, `${fault.lasts}s`, fault.mode);
    injected.add(1);
    const deadline = Date.now() + plan.every * 1000 - 1000;
    const isBack = (pool) => pool.active_backend === ready.active;
    if (waitFor(ready.pool, deadline, (pool) => pool.active_backend && !isBack(pool)) === null) {
      console.error(`${fault.mode}: the pool did not fail over within ${plan.every} s`);
      continue;
    }
    if (waitFor(ready.pool, deadline, isBack) === null) {
      console.error(`${fault.mode}: traffic did not return within ${plan.every} s (SOAK_EVERY_S)`);
      continue;
    }
    returned.add(1);
  }
}

/** Weighs the proxy every few seconds, and says at the end what grew between the early and the late part. */
export function watch() {
  const samples = [];
  while ((Date.now() - exec.scenario.startTime) / 1000 < plan.total) {
    const now = processNow();
    if (now) {
      samples.push(now);
      rss.add(now.residentMib);
    }
    sleep(plan.sample);
  }
  const change = growth(samples);
  if (!change) {
    console.error(`only ${samples.length} samples of the proxy's memory: too few to compare; make the run longer`);
    return;
  }
  grown.add(change.residentMib);
  descriptors.add(change.descriptors);
}

export function teardown(ready) {
  if (!ready) return;
  countFailovers(ready);
  recover(ready.pool);
}

export const handleSummary = summary('soak', ['soak'], (metrics) => ({
  schedule: plan,
  faults: FAULTS,
  resident_mib: metrics.resident_mib ? metrics.resident_mib.values : null,
  growth: {
    resident_mib: metrics.resident_growth_mib ? metrics.resident_growth_mib.values.value : null,
    descriptors: metrics.open_descriptors_growth ? metrics.open_descriptors_growth.values.value : null,
  },
}));
