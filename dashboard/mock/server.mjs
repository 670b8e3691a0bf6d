// The sidecar and the dashboard server, played: the same addresses, the same shapes, no proxy behind.
// Used by `npm run dev` and by the browser tests, which steer it through `play`.

import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import { extname, join, normalize } from 'node:path';
import { WebSocketServer } from 'ws';
import { Control, Refused } from './control.mjs';
import { Log, chatter } from './log.mjs';
import { PoolPlay, milliseconds } from './pool.mjs';
import { SCENARIOS } from './scenarios.mjs';

/** As the real server sends it. */
export const CSP = "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'";
const TICK_MS = 50;
const TYPES = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' };

export function createMock({ scenario = 'calm', dist = null } = {}) {
  const play = {
    log: new Log(),
    pools: [],
    startedAt: Date.now() - 8_052_000,
    faultInjection: true,
    /** null, or how every answer goes wrong: 'closed', 'unavailable', 'malformed', 'silent'. */
    trouble: null,
    /** Addresses (by their last word) that answer with an error. */
    broken: new Set(),
    linesPerSecond: 3,
    process: { schema: 1, state: 'serving', is_ready: true, reason: null, requests_in_flight: 0 },
    posts: [],
    /** Readers of the log. */
    sockets: new Set(),
    feeds: new Set(),
    every: () => {},
  };
  play.addPool = (options) => {
    const pool = new PoolPlay({ now: play.startedAt, log: (...line) => play.log.write(...line), ...options });
    pool.lastTick = Date.now();
    play.pools.push(pool);
    return pool;
  };
  play.restart = () => {
    play.startedAt = Date.now();
    for (const pool of play.pools) Object.assign(pool, { incidents: [], since: Date.now() });
    // Whoever reads is cut off, as by a process that ends.
    for (const client of [...play.sockets, ...play.feeds]) client.terminate();
  };
  play.control = new Control(play);
  SCENARIOS[scenario](play);

  let owed = 0;
  const timer = setInterval(() => {
    const now = Date.now();
    for (const pool of play.pools) pool.tick(now);
    play.every(now);
    owed += (play.linesPerSecond * TICK_MS) / 1000;
    if (owed >= 1) {
      chatter(play.log, Math.floor(owed), play.linesPerSecond > 100 ? 'info' : undefined);
      owed -= Math.floor(owed);
    }
    play.log.flush();
  }, TICK_MS);

  const handle = (request, response) => {
    const url = new URL(request.url, 'http://mock');
    if (!url.pathname.startsWith('/api/')) return false;
    void answer(play, request, response, url);
    return true;
  };
  const webSockets = new WebSocketServer({ noServer: true });
  const upgrade = (request, socket, head) => {
    const url = new URL(request.url, 'http://mock');
    if (url.pathname !== '/api/logs' && url.pathname !== '/api/feed') return;
    if (play.trouble !== null && play.trouble !== 'malformed') return void socket.destroy();
    if (!mayWatch(play.control, url)) return void socket.end('HTTP/1.1 401 Unauthorized\r\nconnection: close\r\n\r\n');
    const read = url.pathname === '/api/feed' ? readFeed : readLog;
    webSockets.handleUpgrade(request, socket, head, (client) => read(play, client, url));
  };
  const server = createServer((request, response) => {
    if (!handle(request, response)) void page(dist, request, response);
  });
  server.on('upgrade', upgrade);
  return {
    play, server, handle, upgrade,
    stop: () => clearInterval(timer),
    listen: (port) => new Promise((resolve) => server.listen(port, '127.0.0.1', () => resolve(`http://127.0.0.1:${server.address().port}`))),
    close: () => {
      clearInterval(timer);
      for (const client of [...play.sockets, ...play.feeds]) client.terminate();
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Browsers cannot show a token to a WebSocket, so a ticket does. */
function mayWatch(control, url) {
  const ticket = url.searchParams.get('ticket');
  if (ticket !== null) return control.tickets.delete(ticket);
  return control.tokens === null || control.anonymous !== 'none';
}

function readLog(play, client, url) {
  play.sockets.add(client);
  const filter = Object.fromEntries(url.searchParams);
  const reader = play.log.join(filter, (frame) => client.send(JSON.stringify(frame)));
  client.on('message', (data) => Object.assign(reader, { filter: JSON.parse(String(data)) }));
  client.on('close', () => {
    play.sockets.delete(client);
    play.log.leave(reader);
  });
}

/** Says everything every second; the page folds in what has changed and what has not alike. */
function readFeed(play, client, url) {
  play.feeds.add(client);
  let seq = 0;
  let watched = url.searchParams.get('pool');
  const say = () => {
    // Whatever goes wrong with an answer goes wrong with all of it: the page polls, and sees what.
    if (play.trouble !== null || play.broken.size > 0) return void client.close();
    const now = Date.now();
    seq += 1;
    const state = { seq, health: health(play, now), incidents: incidents(play, now) };
    client.send(JSON.stringify(seq === 1 ? { type: 'snapshot', schema: 1, ...state } : { type: 'change', ...state }));
    const pool = play.pools.find((it) => it.name === watched) ?? play.pools[0];
    if (pool) client.send(JSON.stringify({ type: 'series', series: pool.series(Number(url.searchParams.get('seconds') ?? 300), now) }));
  };
  client.on('message', (data) => {
    watched = JSON.parse(String(data)).pool;
  });
  const timer = setInterval(say, 1_000);
  client.on('close', () => {
    clearInterval(timer);
    play.feeds.delete(client);
  });
  say();
}

function send(response, status, body, headers = {}) {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store', ...headers });
  response.end(text);
}

function sendError(response, status, code, message, remedy) {
  send(response, status, { error: { code, message, remedy } });
}

async function answer(play, request, response, url) {
  if (play.trouble === 'closed') return void request.socket.destroy();
  if (play.trouble === 'silent') return;
  if (play.trouble === 'unavailable') {
    return sendError(response, 502, 'admin_unreachable', 'the proxy does not answer at 127.0.0.1:9901', 'start bascule, or give the right address with --admin');
  }
  if (play.trouble === 'malformed') return send(response, 200, { schema: 1, now: 'yesterday', pools: 7 });
  const path = url.pathname.slice('/api'.length);
  if (play.broken.has(path.split('/')[1])) {
    return sendError(response, 500, 'internal', `${path.slice(1)} cannot be read`, 'see the proxy\'s log for the cause');
  }
  const now = Date.now();
  try {
    const who = play.control.whoIs(request.headers.authorization, now);
    if (request.method !== 'GET') return await change(play, who, `${request.method} ${path}`, await body(request), response, now);
    const found = play.control.read(path, url, who);
    if (typeof found === 'string') return send(response, 200, found, { 'content-type': 'application/yaml' });
    if (found !== null) return send(response, 200, found);
    play.control.require(who, 'viewer');
  } catch (error) {
    return refuse(response, error);
  }
  if (path === '/proxy/health') return send(response, 200, health(play, now));
  if (path === '/incidents') return send(response, 200, { schema: 1, incidents: incidents(play, now) });
  if (path.startsWith('/incidents/')) {
    const found = incidents(play, now).find((it) => it.id === decodeURIComponent(path.slice('/incidents/'.length)));
    if (found) return send(response, 200, found);
    return sendError(response, 404, 'unknown_incident', `no incident ${path.slice(11)}`, 'GET /incidents lists those that are kept');
  }
  if (path === '/metrics') return send(response, 200, play.pools.map((it) => it.metrics()).join(''), { 'content-type': 'text/plain' });
  const pool = play.pools.find((it) => it.name === url.searchParams.get('pool'));
  if (path === '/series' && pool) return send(response, 200, pool.series(Number(url.searchParams.get('seconds') ?? 300), now, url.searchParams.has('end') ? Number(url.searchParams.get('end')) : null));
  return sendError(response, 404, 'unknown_pool', 'no such pool', 'GET /proxy/health lists the pools');
}

/** A change, or the attempt at one: carried out, noted, answered. */
async function change(play, who, request, text, response, now) {
  const { control } = play;
  const path = request.slice(request.indexOf(' ') + 1);
  if (path === '/tickets') {
    control.require(who, 'viewer');
    const ticket = `ticket-${control.lastId}-${Math.random()}`;
    control.tickets.add(ticket);
    return send(response, 200, { schema: 1, ticket, path: '/logs', expires_at: new Date(now + 30_000).toISOString() });
  }
  const isQuestion = path === '/config/check';
  try {
    control.require(who, isQuestion ? 'viewer' : 'operator');
    const asked = isQuestion || text === '' ? {} : JSON.parse(text);
    if (!isQuestion) play.posts.push({ path, body: asked });
    if (control.slowMs > 0) await new Promise((resolve) => setTimeout(resolve, control.slowMs));
    const done = control.order(path, asked, text, Date.now());
    if (done === null) return act(play, path, asked, response, now, (made) => control.note(who, request, made));
    const id = isQuestion ? null : control.note(who, request, done.change);
    return send(response, done.status ?? 200, done.answer, id === null ? {} : { 'x-audit-id': String(id) });
  } catch (error) {
    if (error instanceof Refused) error.headers['x-audit-id'] = String(control.note(who, request, null, error));
    return refuse(response, error);
  }
}

function refuse(response, error) {
  if (!(error instanceof Refused)) throw error;
  const { status, code, message, remedy, present, headers } = error;
  send(response, status, { error: { code, message, remedy, ...(present === null ? {} : { present }) } }, headers);
}

function health(play, now) {
  const pools = play.pools.map((it) => it.health(now));
  return {
    schema: 1, now: new Date(now).toISOString(), version: '0.1.0', started_at: new Date(play.startedAt).toISOString(),
    ready: play.process.is_ready, fault_injection: play.faultInjection, active: pools[0]?.active_backend ?? null, pools,
  };
}

function incidents(play, now) {
  return play.pools
    .flatMap((pool) => pool.incidents.map((it) => pool.incident(it, now)))
    .sort((a, b) => b.moments.suspected_at.localeCompare(a.moments.suspected_at));
}

function act(play, path, asked, response, now, note) {
  if (!play.faultInjection) {
    return sendError(response, 403, 'fault_injection_disabled', 'fault injection is not enabled', 'set admin.fault_injection: true');
  }
  const pool = play.pools.find((it) => it.name === (asked.pool ?? play.pools[0]?.name));
  const backend = pool?.find(asked.backend ?? pool.active());
  if (!backend) return sendError(response, 404, 'unknown_backend', `no backend ${asked.backend}`, 'GET /proxy/health lists the backends');
  if (path === '/proxy/recover') {
    pool.recover(backend, now);
    note({ action: 'fault.end', target: `${pool.name}/${backend.name}`, before: null, after: { recovered: [backend.name] } });
    return send(response, 200, { recovered: [backend.name] });
  }
  if (backend.state === 'down') {
    return sendError(response, 502, 'backend_unreachable', `${backend.name} does not answer`, 'wait until it is up, or start it');
  }
  pool.fail(backend, asked.mode ?? 'crash', now, { forMs: milliseconds(asked.for), scope: asked.scope, percent: asked.percent });
  note({ action: 'fault.inject', target: `${pool.name}/${backend.name}`, before: null, after: { mode: asked.mode ?? 'crash' } });
  const ends = backend.fault ? new Date(backend.fault.ends_at).toISOString() : null;
  return send(response, 202, { pool: pool.name, backend: backend.name, mode: asked.mode ?? 'crash', accepted_at: new Date(now).toISOString(), ends_at: ends });
}

async function body(request) {
  let text = '';
  for await (const part of request) text += part;
  return text;
}

async function page(dist, request, response) {
  const path = normalize(new URL(request.url, 'http://mock').pathname);
  const file = join(dist ?? '', path === '/' ? 'index.html' : path);
  try {
    const content = await readFile(file);
    response.writeHead(200, { 'content-type': TYPES[extname(file)] ?? 'application/octet-stream', 'content-security-policy': CSP });
    response.end(content);
  } catch {
    response.writeHead(404).end('not found');
  }
}
