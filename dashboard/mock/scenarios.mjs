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
