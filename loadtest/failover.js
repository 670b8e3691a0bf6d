// What do clients notice when the active backend fails in the middle of constant traffic?

import { Counter, Trend } from 'k6/metrics';
import exec from 'k6/execution';
import { PROMISE, faultFor, schedule } from './lib/settings.js';
import { countFailovers, failActive, recover, requireReady, waitFor } from './lib/sidecar.js';
import { GENERATOR_KEPT_UP, SYSTEM_TAGS, TREND_STATS, breakage, get, phaseNow, phaseThresholds, traffic } from './lib/traffic.js';
import { summary, switchNumbers } from './lib/summary.js';

const plan = schedule({ before: 10, during: 10, after: 10 });
const quiet = { errorRatio: 0, p99: PROMISE.quietP99 };

const switchTime = new Trend('failover_switch_ms', true); // fault accepted -> another backend is active
const switchSeen = new Counter('failover_seen');

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
    failover_seen: ['count==1'],
    failover_switch_ms: [`max<${PROMISE.switchMs}`],
    'failovers{direction:over}': ['count==1'],
  },
};

export function setup() {
  return requireReady({ needsFault: true });
}

export function request() {
  get(phaseNow(plan));
}

export function fault(ready) {
  const deadline = exec.scenario.startTime + plan.during * 1000 - 200;
  failActive(ready.pool, faultFor(plan.during));
  const took = waitFor(ready.pool, deadline, (pool) => pool.active_backend && pool.active_backend !== ready.active);
  if (took === null) return;
  switchTime.add(took * 1000);
  switchSeen.add(1);
}

export function teardown(ready) {
  if (!ready) return;
  countFailovers(ready);
  recover(ready.pool);
}

export const handleSummary = summary('failover', ['before', 'during', 'after'],
  (metrics) => ({ schedule: plan, switch: switchNumbers(metrics) }));
