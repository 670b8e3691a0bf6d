// Does traffic return to the first tier when its backend is back: once, with no error and no step in latency?

import { Counter, Trend } from 'k6/metrics';
import exec from 'k6/execution';
import { PROMISE, faultFor, schedule } from './lib/settings.js';
import { countFailovers, failActive, recover, requireReady, waitFor } from './lib/sidecar.js';
import { GENERATOR_KEPT_UP, SYSTEM_TAGS, TREND_STATS, breakage, get, phaseNow, phaseThresholds, traffic } from './lib/traffic.js';
import { summary, switchNumbers } from './lib/summary.js';

// `during` holds the fault, the backend's return and the pool's hold-down (`failback.after`).
const plan = schedule({ before: 5, during: 45, after: 10 });
const quiet = { errorRatio: 0, p99: PROMISE.quietP99 };

const switchTime = new Trend('failover_switch_ms', true); // fault accepted -> another backend is active
const returnTime = new Trend('backend_return_ms', true); // switched -> the failed backend is eligible again
const failbackTime = new Trend('failback_ms', true); // eligible again -> active again
const seen = new Counter('switch_seen');

export const options = {
  scenarios: {
    traffic: traffic(plan.total),
    fault: breakage(plan),
  },
  systemTags: SYSTEM_TAGS,
  summaryTrendStats: TREND_STATS,
  setupTimeout: '2m',
  thresholds: {
    ...phaseThresholds('before', quiet),
    ...phaseThresholds('during', { errorRatio: PROMISE.duringErrorRatio, p99: PROMISE.duringP99 }),
    ...phaseThresholds('after', quiet),
    ...GENERATOR_KEPT_UP,
    'switch_seen{direction:over}': ['count==1'],
    'switch_seen{direction:back}': ['count==1'],
    'failovers{direction:over}': ['count==1'],
    'failovers{direction:back}': ['count==1'],
    failover_switch_ms: [`max<${PROMISE.switchMs}`],
  },
};

export function setup() {
  return requireReady({ needsFault: true });
}

export function request() {
  get(phaseNow(plan));
}

// Runs `waitFor`, and records the time it took; says what did not happen.
function record(trend, what, ready, deadline, done) {
  const took = waitFor(ready.pool, deadline, done);
  if (took === null) {
    console.error(`${what} did not happen within ${plan.during} s (WIN_S)`);
    return false;
  }
  trend.add(took * 1000);
  return true;
}

export function fault(ready) {
  const deadline = exec.scenario.startTime + plan.during * 1000 - 200;
  const failed = (pool) => pool.backends.find((b) => b.name === ready.active);
  failActive(ready.pool, faultFor(5));
  if (!record(switchTime, 'the switch', ready, deadline, (p) => p.active_backend && p.active_backend !== ready.active)) return;
  seen.add(1, { direction: 'over' });
  if (!record(returnTime, 'the return of the backend', ready, deadline, (p) => failed(p).eligible)) return;
  if (!record(failbackTime, 'failback', ready, deadline, (p) => p.active_tier === 0 && p.active_backend === ready.active)) return;
  seen.add(1, { direction: 'back' });
}

export function teardown(ready) {
  if (!ready) return;
  countFailovers(ready);
  recover(ready.pool);
}

export const handleSummary = summary('failback', ['before', 'during', 'after'],
  (metrics) => ({ schedule: plan, switch: switchNumbers(metrics) }));
