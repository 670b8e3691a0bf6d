// One pool played by rules: backends fail, traffic moves, backends come back, traffic returns.
// Everything the API answers about the pool is computed here from a few facts and the clock.

/** What a series has at most; longer ones have longer steps. */
const POINTS_MAX = 1500;
const STEPS = [1, 5, 10, 15, 30, 60];

/** @param {string} text "30s", "2m" */
export function milliseconds(text) {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m)$/.exec(text ?? '');
  if (match === null) return null;
  return Number(match[1]) * { ms: 1, s: 1000, m: 60_000 }[match[2]];
}

const iso = (at) => new Date(at).toISOString();

/** A number in [0, 1) that depends only on its input, so that a second looks the same each time it is asked for. */
function noise(seed) {
  const x = Math.sin(seed * 12.9898) * 43758.5453;
  return x - Math.floor(x);
}

const REASON = {
  crash: 'connection refused',
  refuse: 'connection refused',
  blackhole: 'connecting timed out',
  hang: 'no answer within 500 ms',
  reset: 'connection closed before the response',
  truncate: 'response broke off',
  error: '503 Service Unavailable',
  slow: 'no answer within 500 ms',
};
const CAUSE = { crash: 'crash', refuse: 'partition', hang: 'hang', error: 'errors', slow: 'slow' };
const DETECTION = { crash: 0.013, refuse: 0.011, hang: 0.512, error: 0.048, slow: 0.538 };

export class PoolPlay {
  constructor({ name, backends, rate, now, log, restartAfter = 3_000, failbackAfter = 6_000, spread = false, gaps = [] }) {
    this.name = name;
    this.rate = rate;
    this.log = log;
    this.restartAfter = restartAfter;
    this.failbackAfter = failbackAfter;
    /** All backends of the first tier that are up answer, not only its first. */
    this.spread = spread;
    /** When the proxy did not run, in ms. */
    this.gaps = gaps;
    this.backends = backends.map((it) => ({
      weight: 100, state: 'up', intent: 'enabled', ejectedByOperator: false, reason: null, since: now, fault: null, backAt: null, requests: 0, failures: 0, ...it,
    }));
    /** Who answered since when; the charts follow from it. */
    this.history = [{ at: 0, backend: this.backends[0].name }];
    this.since = now;
    this.failbackAt = null;
    this.incidents = [];
    this.costs = new Map();
    this.startedAt = now;
    this.lastTick = now;
  }

  active() {
    return this.history[this.history.length - 1].backend;
  }

  find(name) {
    return this.backends.find((it) => it.name === name);
  }

  /** Fails a backend: its fault, and if it served, the incident that follows. */
  fail(backend, mode, now, { forMs = null, scope = 'all', percent = 100, requested = true } = {}) {
    const length = mode === 'crash' ? this.restartAfter : (forMs ?? 30_000);
    backend.backAt = now + length;
    backend.fault = mode === 'crash' ? null : { mode, scope, percent, ends_at: now + length };
    const detection = DETECTION[mode] ?? 0.02;
    const decided = now + 4 + detection * 1000;
    backend.failures += 5;
    backend.reason = REASON[mode] ?? mode;
    backend.since = now;
    backend.state = 'down';
    this.log('warn', 'fleet', 'backend ejected', { pool: this.name, backend: backend.name, reason: backend.reason }, now);
    if (this.active() !== backend.name) return;
    const heir = this.backends.filter((it) => it.state === 'up' && it.intent === 'enabled').sort((a, b) => a.tier - b.tier)[0] ?? null;
    this.openIncident({ backend, heir, mode, now, decided, detection, requested });
    this.moveTo(heir, decided);
  }

  openIncident({ backend, heir, mode, now, decided, detection, requested }) {
    const suspected = now + 4;
    const second = Math.floor(now / 1000);
    this.costs.set(second, { rescued: heir ? 5 : 0, p99: heir ? 0.02 + detection : null, lost: heir ? 0 : this.rate });
    this.incidents.unshift({
      number: this.incidents.length + 1, backend: backend.name, heir: heir?.name ?? null, mode, requested,
      fromTier: backend.tier, toTier: heir?.tier ?? null, suspected, decided, detection,
      serving: heir ? decided + 1 : null, recovered: null, failedBack: null, lost: 0, rescued: heir ? 5 : 0,
    });
    const fields = { pool: this.name, backend: backend.name, to: heir?.name ?? 'nothing', detection_seconds: detection };
    this.log(heir ? 'warn' : 'error', 'fleet', heir ? 'pool failed over' : 'pool has nothing to serve from', fields, decided);
  }

  moveTo(heir, at) {
    this.history.push({ at, backend: heir?.name ?? null });
    this.since = at;
    this.failbackAt = null;
  }

  recover(backend, now) {
    backend.backAt = now;
    this.tick(now);
  }

  /** Acts on everything that is due. */
  tick(now) {
    for (const backend of this.backends) {
      if (backend.backAt !== null && backend.backAt <= now) this.bringBack(backend, now);
    }
    if (this.failbackAt !== null && this.failbackAt <= now) {
      const first = this.backends[0];
      this.moveTo(first, now);
      const incident = this.incidents[0];
      if (incident) incident.failedBack = now;
      this.log('info', 'fleet', 'pool failed back', { pool: this.name, backend: first.name, tier: first.tier }, now);
    }
    const seconds = (now - this.lastTick) / 1000;
    this.lastTick = now;
    const active = this.find(this.active());
    if (active) active.requests += Math.round(seconds * this.rate);
    else if (this.incidents[0]) this.incidents[0].lost += Math.round(seconds * this.rate);
  }

  bringBack(backend, now) {
    Object.assign(backend, { backAt: null, fault: null, state: 'up', ejectedByOperator: false, reason: null, since: now });
    this.log('info', 'health', 'backend is healthy', { pool: this.name, backend: backend.name, passes: 2 }, now);
    const incident = this.incidents.find((it) => it.backend === backend.name && it.recovered === null);
    if (incident) incident.recovered = now;
    const active = this.find(this.active());
    if (!active) {
      if (incident) Object.assign(incident, { heir: incident.heir ?? backend.name, serving: incident.serving ?? now, toTier: incident.toTier ?? backend.tier });
      this.moveTo(backend, now);
    } else if (backend.tier < active.tier && (this.heldTier ?? null) === null) this.failbackAt = now + this.failbackAfter;
  }

  /** What a second looked like. */
  second(at) {
    const owner = this.history.findLast((it) => it.at <= (at + 0.5) * 1000)?.backend ?? null;
    const requests = Math.max(0, Math.round(this.rate * (1 + 0.06 * (noise(at) - 0.5))));
    const cost = this.costs.get(at);
    return {
      owner,
      requests,
      lost: owner === null ? requests : (cost?.lost ?? 0),
      rescued: cost?.rescued ?? 0,
      p50: owner === null ? null : 0.0009 + 0.0004 * noise(at + 1),
      p99: owner === null ? null : (cost?.p99 ?? 0.0031 + 0.002 * noise(at + 2)),
    };
  }

  /** At most so many points, each the sum of its step; null where the proxy did not run. */
  series(seconds, now, end = null) {
    const step = STEPS.find((it) => it >= seconds / POINTS_MAX) ?? 900;
    const current = Math.floor(now / 1000);
    const last = Math.min(current, end ?? current);
    const start = Math.floor((last - seconds + 1) / step) * step;
    const points = Array.from({ length: Math.floor((last - start) / step) + 1 }, (_, index) => this.point(start + index * step, step));
    const newest = points[points.length - 1];
    if (newest !== undefined && newest !== null && last === current && step === 1) newest.requests = Math.round((newest.requests * (now % 1000)) / 1000);
    const column = (pick) => points.map((it) => (it === null ? null : pick(it)));
    const up = this.backends.filter((it) => it.tier === this.backends[0].tier && it.state === 'up' && it.intent === 'enabled');
    const answered = (name) => (it) => (this.spread ? (up.some((one) => one.name === name) ? Math.round((it.requests / up.length) * (0.7 + 0.6 * noise(it.at + name.length * 7 + name.charCodeAt(name.length - 1)))) : 0) : it.owner === name ? it.requests : 0);
    return {
      schema: 1, pool: this.name, step_seconds: step, start,
      requests: column((it) => it.requests), lost: column((it) => Math.min(it.lost, it.requests)), rescued: column((it) => it.rescued),
      p50_seconds: column((it) => it.p50), p99_seconds: column((it) => it.p99),
      backends: Object.fromEntries(this.backends.map(({ name }) => [name, column(answered(name))])),
    };
  }

  /** The histograms of attempts, as the proxy exports them. */
  metrics() {
    const bounds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 1, '+Inf'];
    const line = (it, le, index) => `bascule_upstream_duration_seconds_bucket{backend="${it.name}",pool="${this.name}",le="${le}"} ${Math.round((it.requests + 1000) * Math.min(1, 0.7 + index * (0.09 + it.name.length * 0.004)))}\n`;
    return this.backends.map((it) => bounds.map((le, index) => line(it, le, index)).join('')).join('');
  }

  point(at, step) {
    if (this.gaps.some((gap) => at * 1000 >= gap.from && at * 1000 < gap.to)) return null;
    const seconds = Array.from({ length: step }, (_, index) => this.second(at + index));
    const sum = (key) => seconds.reduce((total, it) => total + it[key], 0);
    const most = (key) => seconds.reduce((highest, it) => (it[key] === null ? highest : Math.max(highest ?? 0, it[key])), null);
    return { at, owner: seconds[step - 1].owner, requests: sum('requests'), lost: sum('lost'), rescued: sum('rescued'), p50: most('p50'), p99: most('p99') };
  }

  lastMinute(now) {
    const points = Array.from({ length: 60 }, (_, index) => this.second(Math.floor(now / 1000) - 1 - index));
    const sum = (key) => points.reduce((total, it) => total + it[key], 0);
    const requests = sum('requests');
    const lost = sum('lost');
    const p99 = points.map((it) => it.p99 ?? 0).sort((a, b) => a - b)[58];
    return {
      requests, lost, rescued: sum('rescued'), error_ratio: requests ? lost / requests : 0,
      requests_per_second: requests / 60, p50_seconds: requests ? 0.0011 : null, p99_seconds: requests ? p99 : null,
    };
  }

  health(now) {
    const active = this.find(this.active()) ?? null;
    const eligible = this.backends.filter((it) => it.state === 'up' && it.intent === 'enabled');
    const first = Math.min(...this.backends.map((it) => it.tier));
    const status = !active ? 'down' : active.tier !== first ? 'failed_over' : eligible.length < this.backends.length ? 'degraded' : 'serving';
    const tiers = [...new Set(this.backends.map((it) => it.tier))].sort((a, b) => a - b);
    const returnable = eligible.filter((it) => active && it.tier < active.tier).sort((a, b) => a.tier - b.tier)[0];
    const open = this.incidents.find((it) => it.recovered === null);
    return {
      name: this.name, status, active_tier: active?.tier ?? null, active_backend: active?.name ?? null, since: iso(this.since),
      failback: this.failbackAt === null ? null : { to_tier: first, at: iso(this.failbackAt), remaining_seconds: (this.failbackAt - now) / 1000, share: 0 },
      shares: tiers.map((tier) => (active?.tier === tier ? 1 : 0)), returnable_tier: returnable?.tier ?? null, held_tier: this.heldTier ?? null, failing_open: this.failingOpen ?? false,
      open_incident: open ? `${this.name}-${open.number}` : null,
      last_minute: this.lastMinute(now),
      backends: this.backends.map((it) => this.backendHealth(it, now)),
    };
  }

  backendHealth(it, now) {
    const up = it.state === 'up';
    const interval = up ? 1000 : 100;
    return {
      name: it.name, url: it.url, tier: it.tier, weight: it.weight, configured_weight: it.configuredWeight ?? 100, state: it.state,
      intent: it.intent, ejected_by_operator: it.ejectedByOperator, eligible: up && it.intent === 'enabled', active: this.active() === it.name,
      reason: it.reason, since: iso(it.since), ejected_until: null, in_flight: this.active() === it.name ? 1 : 0,
      requests: it.requests, failures: it.failures,
      last_check: { at: iso(now - (now % interval)), result: up ? 'pass' : 'fail', duration_seconds: 0.0007, detail: up ? '200 OK' : (it.reason ?? 'no answer') },
      fault: it.fault && { mode: it.fault.mode, scope: it.fault.scope, percent: it.fault.percent, status: it.fault.mode === 'error' ? 503 : null, delay_min_seconds: null, delay_max_seconds: null, ends_at: iso(it.fault.ends_at), remaining_seconds: (it.fault.ends_at - now) / 1000 },
    };
  }

  incident(it, now) {
    const settled = it.serving && it.serving + 1_000 <= now ? it.serving + 1_000 : null;
    const end = settled ?? now;
    const total = Math.round(((end - it.suspected) / 1000) * this.rate);
    const orNull = (at) => (at === null ? null : iso(at));
    const latency = (p50, p99, requests) => ({ requests, p50_seconds: p50, p99_seconds: p99 });
    return {
      id: `${this.name}-${it.number}`, pool: this.name, backend: it.backend, cause: CAUSE[it.mode] ?? 'unknown',
      state: it.failedBack ? 'closed' : it.recovered ? 'recovered' : settled ? 'serving' : 'open',
      detected_by: 'traffic', requested: it.requested, interrupted: it.interrupted ?? false, from_tier: it.fromTier, to_tier: it.toTier, to_backend: it.heir,
      evidence: [
        ...[0, 3, 7].map((ms) => ({ at: iso(it.suspected + ms), source: 'traffic', detail: REASON[it.mode] ?? it.mode })),
        { at: iso(it.suspected + 96), source: 'health_check', detail: `GET /health: ${REASON[it.mode] ?? it.mode}` },
      ],
      moments: {
        suspected_at: iso(it.suspected), decided_at: iso(it.decided), serving_at: orNull(it.serving), stable_at: orNull(it.serving && it.serving + 400),
        recovered_at: orNull(it.recovered), failed_back_at: orNull(it.failedBack),
      },
      detection_seconds: it.detection, switch_seconds: it.serving ? 0.0004 : null,
      window: { from: iso(it.suspected - (it.suspected % 100)), to: settled === null ? null : iso(settled) },
      requests: {
        total, rescued: it.rescued, rescued_by_retry: it.rescued, rescued_by_hedge: 0, lost: it.lost, extra_attempts: it.rescued,
        error_ratio: total ? it.lost / total : 0,
      },
      latency: {
        before: latency(0.0011, 0.0042, this.rate * 60),
        during: it.serving ? latency(0.0012, 0.02 + it.detection, total) : null,
        after: it.recovered ? latency(0.0011, 0.0041, this.rate * 20) : null,
      },
    };
  }
}
