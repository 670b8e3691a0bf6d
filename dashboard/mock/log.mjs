// A log with its recent lines and its readers, as the sidecar keeps one.

const RANK = { error: 0, warn: 1, info: 2, debug: 3 };
const RECENT_MAX = 1000;
const FRAME_MAX = 100;

export class Log {
  constructor() {
    this.seq = 0;
    this.recent = [];
    this.readers = new Set();
  }

  write(level, target, message, fields = {}, at = Date.now()) {
    this.seq += 1;
    const line = { seq: this.seq, at: new Date(at).toISOString(), level, target, message, fields };
    this.recent.push(line);
    if (this.recent.length > RECENT_MAX) this.recent.shift();
    for (const reader of this.readers) if (passes(line, reader.filter)) reader.waiting.push(line);
  }

  /** Sends what waits, at most a hundred lines a frame. */
  flush() {
    for (const reader of this.readers) {
      while (reader.waiting.length > 0) reader.send({ type: 'lines', lines: reader.waiting.splice(0, FRAME_MAX) });
    }
  }

  /** @param {(frame: object) => void} send */
  join(filter, send) {
    const reader = { filter, send, waiting: this.recent.filter((line) => passes(line, filter)) };
    send({ type: 'hello', schema: 1, recent: reader.waiting.length });
    this.readers.add(reader);
    this.flush();
    return reader;
  }

  leave(reader) {
    this.readers.delete(reader);
  }

  skip(count) {
    for (const reader of this.readers) reader.send({ type: 'dropped', count });
  }
}

function passes(line, filter) {
  if (RANK[line.level] > RANK[filter.level ?? 'info']) return false;
  if (filter.pool && line.fields.pool !== filter.pool) return false;
  return !filter.text || JSON.stringify(line).toLowerCase().includes(filter.text.toLowerCase());
}

const CHATTER = [
  ['debug', 'health', 'health check passed', (n) => ({ backend: n % 2 ? 'primary' : 'secondary', duration_ms: 0.7 })],
  ['debug', 'gateway', 'request finished', (n) => ({ route: 'data', status: 200, backend: 'primary', duration_ms: 1.1, request_id: `r-${n}` })],
  ['info', 'admin', 'log reader joined', (n) => ({ peer: `127.0.0.1:${40000 + (n % 900)}` })],
  ['debug', 'gateway', 'request finished', (n) => ({ route: 'v1', status: 200, backend: 'primary', duration_ms: 2.3, request_id: `r-${n}` })],
];

/** Lines nobody needs, as a busy proxy writes them. */
export function chatter(log, count, level) {
  for (let n = 0; n < count; n += 1) {
    const [own, target, message, fields] = CHATTER[log.seq % CHATTER.length];
    log.write(level ?? own, target, message, fields(log.seq));
  }
}
