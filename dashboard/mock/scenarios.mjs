// What happens when nobody steers: the plays of `npm run dev` and of the browser tests.

const PAIR = [
  { name: 'primary', url: 'http://127.0.0.1:3001', tier: 0 },
  { name: 'secondary', url: 'http://127.0.0.1:3002', tier: 1 },
];

function opening(play) {
  play.log.write('info', 'app', 'bascule started', { version: '0.1.0', listener: '127.0.0.1:8021' }, play.startedAt);
  play.log.write('info', 'health', 'backend is healthy', { pool: 'api', backend: 'primary', passes: 1 }, play.startedAt + 40);
  play.log.write('info', 'health', 'backend is healthy', { pool: 'api', backend: 'secondary', passes: 1 }, play.startedAt + 44);
}

/** Plays a whole failover in the past, so that the page has a story to tell at once. */
function pastFailover(pool, secondsAgo, mode = 'crash', requested = false) {
  const at = Date.now() - secondsAgo * 1000;
  pool.lastTick = at;
  pool.fail(pool.backends[0], mode, at, { forMs: 12_000, requested });
  const back = pool.backends[0].backAt;
  pool.tick(back);
  pool.tick(pool.failbackAt ?? back);
  pool.lastTick = Date.now();
}

export const SCENARIOS = {
  /** Nothing happens until somebody presses Fail. */
  calm(play) {
    opening(play);
    play.addPool({ name: 'api', backends: PAIR, rate: 200 });
  },

  /** A failover two minutes ago, and another every 45 seconds. */
  outage(play) {
    opening(play);
    const pool = play.addPool({ name: 'api', backends: PAIR, rate: 200 });
    pastFailover(pool, 210, 'hang');
    pastFailover(pool, 130, 'crash');
    let next = Date.now() + 15_000;
    play.every = (now) => {
      if (now < next) return;
      next = now + 45_000;
      if (pool.active() === 'primary') pool.fail(pool.find('primary'), 'crash', now, { requested: false });
    };
  },

  /** Two failovers in the past, then quiet. */
  storied(play) {
    opening(play);
    const pool = play.addPool({ name: 'api', backends: PAIR, rate: 200 });
    pastFailover(pool, 210, 'hang');
    pastFailover(pool, 130, 'crash', true);
  },

  /** Nothing can serve. */
  dark(play) {
    opening(play);
    const pool = play.addPool({ name: 'api', backends: PAIR, rate: 200, restartAfter: 600_000 });
    const at = Date.now() - 8_000;
    pool.fail(pool.find('secondary'), 'crash', at - 4_000);
    pool.fail(pool.find('primary'), 'crash', at, { requested: false });
  },

  /** Several pools, more tiers, more backends than fit in a row. */
  several(play) {
    opening(play);
    play.addPool({ name: 'api', backends: PAIR, rate: 200 });
    const names = ['ams-1', 'ams-2', 'ams-3', 'fra-1', 'fra-2', 'sky-1'];
    const backends = names.map((name, index) => ({ name, url: `http://10.0.${index}.7:8080`, tier: index < 3 ? 0 : index < 5 ? 1 : 2 }));
    const search = play.addPool({ name: 'search', backends, rate: 900, restartAfter: 600_000 });
    search.fail(search.find('ams-2'), 'crash', Date.now() - 60_000);
  },

  /** Many backends in three tiers, in every condition. */
  wide(play) {
    opening(play);
    const sites = ['ams', 'fra', 'sky'];
    const backends = Array.from({ length: 200 }, (_, index) => {
      const tier = index < 120 ? 0 : index < 180 ? 1 : 2;
      return { name: `${sites[tier]}-${String(index + 1).padStart(3, '0')}`, url: `http://10.${tier}.${index % 250}.7:8080`, tier, weight: index % 7 === 0 ? 50 : 100 };
    });
    const pool = play.addPool({ name: 'api', backends, rate: 6_000, restartAfter: 900_000, spread: true });
    const at = Date.now() - 95_000;
    pool.fail(pool.find('ams-007'), 'crash', at);
    pool.fail(pool.find('ams-031'), 'hang', at + 20_000, { forMs: 900_000 });
    pool.fail(pool.find('fra-150'), 'error', at + 40_000, { forMs: 600_000 });
    Object.assign(pool.find('ams-040'), { intent: 'draining', since: at });
    Object.assign(pool.find('ams-041'), { intent: 'disabled', since: at });
    Object.assign(pool.find('sky-190'), { state: 'unknown' });
    Object.assign(pool.find('ams-088'), { state: 'failing', reason: 'no answer within 500 ms', since: Date.now() - 4_000 });
  },

  /** A day with a failover every half hour, one that cost requests, and a restart. */
  day(play) {
    const now = Date.now();
    play.startedAt = now - 5 * 3_600_000;
    opening(play);
    const pool = play.addPool({ name: 'api', backends: PAIR, rate: 200, gaps: [{ from: play.startedAt - 1_200_000, to: play.startedAt }] });
    const modes = ['crash', 'hang', 'error', 'slow'];
    for (let n = 46; n > 0; n -= 1) {
      const minutes = n * 31;
      if (minutes > 300 && minutes < 320) continue;
      pastFailover(pool, minutes * 60 - (n % 5) * 90, modes[n % 4], n % 9 === 0);
    }
    const worst = pool.incidents[12];
    Object.assign(worst, { lost: 214, rescued: 31 });
    pool.costs.set(Math.floor(worst.suspected / 1000), { rescued: 31, p99: 1.2, lost: 190 });
    pool.incidents.find((it) => it.decided < play.startedAt).interrupted = true;
  },

  /** What operators did: drained, disabled, held, injected. */
  operated(play) {
    opening(play);
    const names = ['ams-1', 'ams-2', 'fra-1', 'fra-2'];
    const pool = play.addPool({ name: 'api', backends: names.map((name, index) => ({ name, url: `http://10.0.${index}.7:8080`, tier: index < 2 ? 0 : 1 })), rate: 300 });
    Object.assign(pool.find('ams-1'), { intent: 'draining' });
    Object.assign(pool.find('fra-2'), { intent: 'disabled' });
    pool.moveTo(pool.find('fra-1'), Date.now() - 60_000);
    pool.heldTier = 1;
  },

  /** Nothing is eligible, and requests are sent all the same. */
  open(play) {
    SCENARIOS.dark(play);
    play.pools[0].failingOpen = true;
  },

  /** A pool without backends, and a process that wants no traffic. */
  leaving(play) {
    SCENARIOS.calm(play);
    play.process = { schema: 1, state: 'draining', is_ready: false, reason: 'draining: requests in flight are finished, no more are wanted', requests_in_flight: 14 };
  },

  /** Five thousand lines a second. */
  flood(play) {
    SCENARIOS.calm(play);
    play.linesPerSecond = 5_000;
  },

  /** The dashboard stands, the proxy behind it does not. */
  down(play) {
    SCENARIOS.calm(play);
    play.trouble = 'unavailable';
  },
};
