// What do clients notice when traffic is suddenly several times what it was, and then is not?

import exec from 'k6/execution';
import { Counter } from 'k6/metrics';
import http from 'k6/http';
import { PROMISE, RATE, schedule, settleSeconds, spikeFactor } from './lib/settings.js';
import { countFailovers, requireReady } from './lib/sidecar.js';
import {
  GENERATOR_KEPT_UP, SYSTEM_TAGS, TREND_STATS, get, phaseIsTold, phaseThresholds, spikingTraffic,
} from './lib/traffic.js';
import { summary } from './lib/summary.js';

const plan = schedule({ before: 10, during: 20, after: 20 });
const factor = spikeFactor(5);
const settle = settleSeconds(10);
const PHASES = ['before', 'during', 'settling', 'after'];

// A proxy that cannot take any more says so, and when to come back (RFC 9110 §10.2.3). That is an answer;
// any other error is not.
const turnedAway = new Counter('turned_away');
const broken = new Counter('broken');

export const options = {
  scenarios: { spike: spikingTraffic(plan, factor) },
  systemTags: SYSTEM_TAGS,
  summaryTrendStats: TREND_STATS,
  setupTimeout: '2m',
  thresholds: {
    ...phaseThresholds('before', { errorRatio: 0, p99: PROMISE.quietP99 }),
    ...phaseThresholds('after', { errorRatio: 0, p99: PROMISE.quietP99 }),
    ...phaseIsTold('during'),
    ...phaseIsTold('settling'),
    broken: ['count==0'],
    ...GENERATOR_KEPT_UP,
    'failovers{direction:over}': ['count==0'],
    'failovers{direction:back}': ['count==0'],
  },
};

http.setResponseCallback(http.expectedStatuses(200, 503));

function phase() {
  const seconds = (Date.now() - exec.scenario.startTime) / 1000;
  if (seconds < plan.before) return 'before';
  if (seconds < plan.before + plan.during) return 'during';
  return seconds < plan.before + plan.during + settle ? 'settling' : 'after';
}

export function setup() {
  if (plan.after <= settle) {
    exec.test.abort(`POST_S=${plan.after} leaves nothing after the ${settle} s (SETTLE_S) in which latency may settle`);
  }
  return requireReady({ needsFault: false });
}

export function request() {
  const response = get(phase());
  if (response.status === 503 && response.headers['Retry-After']) turnedAway.add(1);
  else broken.add(response.status === 200 ? 0 : 1);
}

export function teardown(ready) {
  turnedAway.add(0);
  if (ready) countFailovers(ready);
}

export const handleSummary = summary('spike', PHASES, () => ({
  schedule: { ...plan, settling: settle }, rate_in_spike: RATE * factor,
}));
