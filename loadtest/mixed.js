// Everything at once: GET, POST with ids that the backends write down, bodies of 1 MiB, WebSockets. Is anything
// lost that could have been kept, is anything executed twice, does what was sent come back as it was?

import http from 'k6/http';
import exec from 'k6/execution';
import { Counter, Trend } from 'k6/metrics';
import ws from 'k6/ws';
import {
  FAULT, MIXED, PROMISE, TARGET, faultFor, schedule,
} from './lib/settings.js';
import { countFailovers, executions, failActive, recover, requireReady, waitFor } from './lib/sidecar.js';
import {
  GENERATOR_KEPT_UP, SYSTEM_TAGS, TREND_STATS, breakage, constantRate, get, phaseNow, phaseThresholds, traffic,
} from './lib/traffic.js';
import { summary, switchNumbers } from './lib/summary.js';

const plan = schedule({ before: 10, during: 10, after: 10 });
const quiet = { errorRatio: 0, p99: PROMISE.quietP99 };
const large = 'x'.repeat(1 << 20);

const switchTime = new Trend('failover_switch_ms', true);
const posts = new Counter('posts'); // by outcome
const uploads = new Counter('uploads'); // 1 MiB there and back, by outcome
const messages = new Counter('websocket_messages'); // by outcome
const executed = new Counter('executed'); // POSTs as the backends have written them down, by verdict

export const options = {
  scenarios: {
    traffic: traffic(plan.total),
    posts: constantRate('post', MIXED.postRate, plan.total),
    uploads: constantRate('upload', MIXED.uploadRate, plan.total),
    websockets: { executor: 'constant-vus', exec: 'converse', vus: MIXED.websockets, duration: `${plan.total}s`, gracefulStop: '15s' },
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
    'posts{outcome:answered}': ['count>0'],
    // A POST that was on its way when its backend failed may not be sent again: it cannot be known whether it
    // was executed. Those are few, and they are told so.
    'posts{outcome:lost}': [`count<=${PROMISE.postsLost}`],
    'posts{outcome:wrong}': ['count==0'],
    'executed{verdict:once}': ['count>0'],
    'executed{verdict:twice}': ['count==0'],
    'uploads{outcome:whole}': ['count>0'],
    'uploads{outcome:wrong}': ['count==0'],
    'websocket_messages{outcome:echoed}': ['count>0'],
    'websocket_messages{outcome:wrong}': ['count==0'],
    'failovers{direction:over}': ['count==1'],
  },
};

export function setup() {
  if (FAULT === 'crash') {
    exec.test.abort('FAULT=crash takes the record of what was executed with it; use hang, refuse, error or slow, or `loadtest/drill kill-post`');
  }
  const ready = requireReady({ needsFault: true });
  return ready && { ...ready, run: `${Date.now().toString(36)}` };
}

export function request() {
  get(phaseNow(plan));
}

const headers = (id) => ({ 'Content-Type': 'application/octet-stream', 'X-Request-Id': id });

// The id says which run it belongs to; scenario, user and iteration make it unique.
const newId = (ready) => `${ready.run}-${exec.scenario.name}-${exec.vu.idInTest}-${exec.vu.iterationInScenario}`;

function send(path, body, id) {
  return http.post(`${TARGET}${path}`, body, {
    headers: headers(id), redirects: 0, timeout: '20s', tags: { kind: 'mixed', name: `POST ${path}` },
  });
}

/** A POST that must be executed exactly once if it is answered, and at most once if not. */
export function post(ready) {
  const id = newId(ready);
  const response = send('/echo', id, id);
  if (response.status !== 200) posts.add(1, { outcome: 'lost' });
  else posts.add(1, { outcome: response.json('body') === id ? 'answered' : 'wrong' });
}

/** 1 MiB to the backend, and the same back. */
export function upload(ready) {
  const response = send('/echo', large, newId(ready));
  if (response.status !== 200) uploads.add(1, { outcome: 'lost' });
  else uploads.add(1, { outcome: response.json('body') === large ? 'whole' : 'wrong' });
}

/** A conversation of a message every half second, in which each must come back as it was. */
export function converse() {
  const sent = [];
  let left = 20;
  const tags = { kind: 'mixed', name: 'WS /ws' };
  ws.connect(`${TARGET.replace(/^http/, 'ws')}/ws`, { tags }, (socket) => {
    socket.on('open', () => socket.setInterval(() => {
      if (left === 0) {
        socket.close();
        return;
      }
      left -= 1;
      sent.push(`${exec.vu.idInTest}-${left}`);
      socket.send(sent[sent.length - 1]);
    }, 500));
    socket.on('message', (text) => messages.add(1, { outcome: text === sent.shift() ? 'echoed' : 'wrong' }));
  });
}

export function fault(ready) {
  const deadline = exec.scenario.startTime + plan.during * 1000 - 200;
  failActive(ready.pool, faultFor(plan.during));
  const took = waitFor(ready.pool, deadline, (pool) => pool.active_backend && pool.active_backend !== ready.active);
  if (took !== null) switchTime.add(took * 1000);
}

export function teardown(ready) {
  if (!ready) return;
  countFailovers(ready);
  recover(ready.pool);
  const counts = executions(ready.pool, `${ready.run}-posts-`);
  if (!counts) return;
  executed.add(counts.once, { verdict: 'once' });
  executed.add(counts.twice, { verdict: 'twice' });
}

export const handleSummary = summary('mixed', ['before', 'during', 'after'],
  (metrics) => ({ schedule: plan, switch: switchNumbers(metrics) }));
