// Does a quiet system keep its promises: no errors to speak of, a low p99, and no failover without cause?

import { PROMISE, schedule } from './lib/settings.js';
import { countFailovers, requireReady } from './lib/sidecar.js';
import { GENERATOR_KEPT_UP, SYSTEM_TAGS, TREND_STATS, get, phaseThresholds, traffic } from './lib/traffic.js';
import { summary } from './lib/summary.js';

const plan = schedule({ before: 0, during: 120, after: 0 });

export const options = {
  scenarios: { steady: traffic(plan.total, 0.5) },
  systemTags: SYSTEM_TAGS,
  summaryTrendStats: TREND_STATS,
  setupTimeout: '2m',
  thresholds: {
    ...phaseThresholds('steady', { errorRatio: PROMISE.steadyErrorRatio, p99: PROMISE.quietP99, abort: true }),
    ...GENERATOR_KEPT_UP,
    'failovers{direction:over}': ['count==0'],
    'failovers{direction:back}': ['count==0'],
  },
};

export function setup() {
  return requireReady({ needsFault: false });
}

export function request() {
  get('steady');
}

export function teardown(ready) {
  if (ready) countFailovers(ready);
}

export const handleSummary = summary('steady', ['steady']);
