// What operators see and order, played: who they are, drains and moves, the audit list, the configuration.

import { milliseconds } from './pool.mjs';

const VERBS = ['drain', 'undrain', 'disable', 'enable', 'eject', 'readmit', 'weight'];
const ACTION = { drain: 'backend.drain', undrain: 'backend.enable', disable: 'backend.disable', enable: 'backend.enable', eject: 'backend.eject', readmit: 'backend.readmit', weight: 'backend.weight' };
const PERSISTS = { reload: true, upgrade: true, restart: false };
const WRONG_MAX = 3;
const WAIT_SECONDS = 2;

export class Refused extends Error {
  constructor(status, code, message, remedy, { present = null, headers = {} } = {}) {
    super(message);
    Object.assign(this, { status, code, remedy, present, headers });
  }
}

export class Control {
  constructor(play) {
    this.play = play;
    /** Tokens by role; null lets everybody be an operator, as on the proxy's own machine. */
    this.tokens = null;
    this.anonymous = 'viewer';
    this.wrong = 0;
    this.waitUntil = 0;
    this.tickets = new Set();
    this.trail = [];
    this.lastId = 0;
    /** How long every order takes, ms. */
    this.slowMs = 0;
    this.config = { generation: 3, loaded_at: new Date(Date.now() - 3_600_000).toISOString(), files: ['/etc/bascule/bascule.yaml'], last_reload: null };
    /** What the files would change. */
    this.pendingChanges = [];
    this.pendingProblems = [];
    this.yaml = YAML;
  }

  /** Who shows this, or why nobody. */
  whoIs(authorization, now = Date.now()) {
    const address = '203.0.113.9';
    if (this.tokens === null) return { kind: 'local', name: null, role: 'operator', address: '127.0.0.1' };
    if (authorization === undefined) return { kind: 'anonymous', name: null, role: this.anonymous, address };
    if (now < this.waitUntil) {
      const left = Math.ceil((this.waitUntil - now) / 1000);
      throw new Refused(429, 'too_many_attempts', 'too many wrong tokens came from this address', `wait for ${left} s, then send a right one; nothing is looked at before`, { headers: { 'retry-after': String(left) } });
    }
    const found = Object.entries(this.tokens).find(([, token]) => authorization === `Bearer ${token}`);
    if (found) {
      this.wrong = 0;
      return { kind: 'token', name: found[0] === 'operator' ? 'alice' : 'grafana', role: found[0], address };
    }
    this.wrong += 1;
    if (this.wrong >= WRONG_MAX) Object.assign(this, { wrong: 0, waitUntil: now + WAIT_SECONDS * 1000 });
    throw new Refused(401, 'token_wrong', 'the token is nobody\'s', 'send the right one, or none');
  }

  require(who, role) {
    const ranks = ['none', 'viewer', 'operator'];
    if (ranks.indexOf(who.role) >= ranks.indexOf(role)) return;
    if (who.kind === 'anonymous') throw new Refused(401, 'token_required', `this needs the role \`${role}\``, 'send a token: `Authorization: Bearer …`');
    throw new Refused(403, 'role_too_low', `this needs the role \`${role}\`, and you are a ${who.role}`, 'use the token of an operator');
  }

  note(who, request, change, error = null) {
    this.lastId += 1;
    this.trail.unshift({
      id: this.lastId, at: new Date().toISOString(), who: { kind: who.kind, name: who.name, address: who.address, speaks_for: null, is_relayed: false },
      request, action: change?.action ?? null, target: change?.target ?? null, before: change?.before ?? null, after: change?.after ?? null,
      result: error === null ? 'done' : error.status < 500 ? 'refused' : 'failed', status: error?.status ?? 200, code: error?.code ?? null, reason: error?.message ?? null,
    });
    return this.lastId;
  }

  /** Answers a GET, or null if it is none of ours. */
  read(path, url, who) {
    if (path === '/whoami') return { schema: 1, is_relayed: false, ...who };
    if (path === '/process') {
      return {
        schema: 1, pid: 4711, version: '0.1.0', generation: 1, started_at: new Date(this.play.startedAt).toISOString(), state: 'serving', is_ready: true,
        reason: null, connections: 24, requests_in_flight: 3, predecessor: null, successor: null, latest_upgrade: null, ...this.play.process,
      };
    }
    if (path === '/audit') {
      this.require(who, 'viewer');
      const name = url.searchParams.get('who');
      const limit = Number(url.searchParams.get('limit') ?? 100);
      return { schema: 1, entries: this.trail.filter((it) => name === null || it.who.name === name || it.who.kind === name).slice(0, limit) };
    }
    if (path === '/config') {
      this.require(who, 'viewer');
      return url.searchParams.get('format') === 'yaml' ? this.yaml : { schema: 1, config: {}, ...this.config };
    }
    return null;
  }

  /** Carries out what was posted: an answer and the change it made, or null if it is none of ours. */
  order(path, asked, text, now) {
    const [, kind, pool, third, fourth] = path.split('/').map(decodeURIComponent);
    if (kind === 'backends' && VERBS.includes(fourth)) return this.orderBackend(pool, third, fourth, asked, now);
    if (kind === 'pools') return this.movePool(pool, third, asked, now);
    if (path === '/config/reload') return this.reload(asked);
    if (path === '/config/check') return { answer: this.attempt('api', text.includes('interval: 0s') ? [PROBLEM] : [], text.includes('interval: 0s') ? [] : [CHANGE]) };
    return null;
  }

  orderBackend(poolName, name, verb, asked, now) {
    const pool = this.play.pools.find((it) => it.name === poolName);
    const backend = pool?.find(name);
    if (!backend) throw new Refused(404, 'unknown_backend', `pool \`${poolName}\` has no backend \`${name}\``, 'GET /backends lists the backends');
    const told = () => ({ intent: backend.intent, weight: backend.weight, condition: backend.state, is_eligible: eligible(backend), is_active: pool.active() === name });
    const before = told();
    for (const [key, value] of Object.entries(asked.expect ?? {})) {
      if (before[key] !== value) throw new Refused(409, 'changed', `\`${key}\` is ${JSON.stringify(before[key])}, which is not what was expected`, 'look again, and expect what is so now', { present: before });
    }
    const takesOut = ['drain', 'disable', 'eject'].includes(verb);
    const others = pool.backends.filter((it) => it !== backend && eligible(it));
    if (takesOut && others.length === 0 && asked.force !== true) {
      throw new Refused(409, 'last_eligible', `nobody else of pool \`${poolName}\` may be picked: its requests would fail`, 'bring another backend back first, or set `force` to true');
    }
    if (verb === 'weight') backend.weight = asked.weight;
    if (verb === 'drain') backend.intent = 'draining';
    if (verb === 'disable') backend.intent = 'disabled';
    if (verb === 'undrain' || verb === 'enable') backend.intent = 'enabled';
    if (verb === 'eject') Object.assign(backend, { state: 'ejected', ejectedByOperator: true, backAt: now + milliseconds(asked.for ?? '30s'), reason: 'ejected by an operator' });
    if (verb === 'readmit') Object.assign(backend, { state: 'up', ejectedByOperator: false, backAt: null, reason: null });
    this.settle(pool, now);
    const seen = { pool: poolName, name, weight: backend.weight, intent: backend.intent, in_flight: 0, is_eligible: eligible(backend), share: pool.active() === name ? 1 : 0 };
    return {
      answer: { schema: 1, backend: seen, is_done: true, persists: PERSISTS },
      change: { action: ACTION[verb], target: `${poolName}/${name}`, before, after: told() },
    };
  }

  /** Traffic goes to the most preferred that may be picked, and not before the tier that is held. */
  settle(pool, now) {
    const from = pool.heldTier ?? 0;
    const all = pool.backends.filter(eligible).sort((a, b) => a.tier - b.tier);
    const heir = all.find((it) => it.tier >= from) ?? all[0] ?? null;
    if ((heir?.name ?? null) !== pool.active()) pool.moveTo(heir, now);
  }

  movePool(name, verb, asked, now) {
    const pool = this.play.pools.find((it) => it.name === name);
    if (!pool) throw new Refused(404, 'unknown_pool', `no pool \`${name}\``, 'GET /proxy/health lists the pools');
    const tierOf = (backend) => pool.find(backend)?.tier ?? null;
    const before = { active_tier: tierOf(pool.active()), held_tier: pool.heldTier ?? null };
    if (asked.expect?.active !== undefined && asked.expect.active !== pool.active()) {
      throw new Refused(409, 'changed', `\`active\` is ${JSON.stringify(pool.active())}, which is not what was expected`, 'look again, and expect what is so now', { present: { active: pool.active(), active_tier: before.active_tier } });
    }
    if (verb === 'failover') pool.heldTier = asked.to ? Number(asked.to.slice('tier '.length)) : before.active_tier + 1;
    else if (before.active_tier === 0) throw new Refused(409, 'nothing_to_fail_back', `pool \`${name}\` is served by its preferred tier`, 'nothing needs to be done');
    else pool.heldTier = null;
    this.settle(pool, now);
    const after = { active_tier: tierOf(pool.active()), held_tier: pool.heldTier };
    return {
      answer: { schema: 1, pool: { name, ...after, active_backend: pool.active(), returnable_tier: null, shares: [] }, is_done: true, persists: PERSISTS },
      change: { action: `pool.${verb}`, target: name, before, after },
    };
  }

  attempt(trigger, problems, changes) {
    const isBad = problems.some((it) => it.severity === 'error');
    return {
      schema: 1, at: new Date().toISOString(), trigger, result: isBad ? 'refused' : 'accepted',
      generation: this.config.generation, took_seconds: 0.012, changes, needs_restart: changes.filter((it) => it.path.startsWith('listeners')).map((it) => it.path), problems,
    };
  }

  reload(asked) {
    if (asked.expect?.generation !== undefined && asked.expect.generation !== this.config.generation) {
      throw new Refused(409, 'changed', `generation ${this.config.generation} is in use`, 'look at what has changed with GET /config, then ask again');
    }
    const before = { generation: this.config.generation };
    const done = this.attempt('api', this.pendingProblems, this.pendingChanges);
    if (!asked.dry_run) {
      if (done.result === 'accepted') {
        done.result = this.pendingChanges.length === 0 ? 'unchanged' : 'applied';
        Object.assign(this.config, { generation: this.config.generation + 1, loaded_at: done.at });
        done.generation = this.config.generation;
        this.pendingChanges = [];
      }
      this.config.last_reload = done;
    }
    return {
      answer: done, status: done.result === 'refused' ? 422 : 200,
      change: { action: asked.dry_run ? 'configuration.try' : 'configuration.reload', target: 'configuration', before, after: { generation: this.config.generation, result: done.result } },
    };
  }
}

function eligible(backend) {
  return backend.state === 'up' && backend.intent === 'enabled';
}

export const CHANGE = { kind: 'changed', path: 'pools.api.health_check.interval', before: '1s', after: '500ms' };
export const PROBLEM = {
  code: 'B0103', severity: 'error', path: 'pools.api.health_check.interval', line: 14, column: 17,
  message: '`interval` is `0s`', remedy: 'write a length of at least 10ms, such as `1s`',
};

const YAML = `version: 1
admin:
  address: 127.0.0.1:9901
  fault_injection: true
  auth:
    tokens:
      - name: alice
        role: operator
        sha256_file: /etc/bascule/alice.sha256
listeners:
  - address: 127.0.0.1:8021
    routes:
      - pool: api
pools:
  api:
    health_check:
      path: /health
      interval: 1s
      timeout: 500ms
    failback:
      mode: automatic
      hold_down: 10s
    tiers:
      - backends:
          - name: primary
            url: http://127.0.0.1:3001
            weight: 100
      - backends:
          - name: secondary
            url: http://127.0.0.1:3002
            weight: 100
`;
