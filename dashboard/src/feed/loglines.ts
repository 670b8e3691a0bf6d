// The log as the page keeps it: a bounded ring of lines and marks, filtered and frozen on demand.

import type { LogFrame, LogLevel, LogLine } from '../wire/types';

/** Something that is not a line but belongs between lines: lines skipped, a frame not understood. */
interface LogMark {
  kind: 'dropped' | 'trouble';
  key: string;
  text: string;
}

/** A row; `n` is the how-manieth it is of all that came. */
export type LogRow = { kind: 'line'; n: number; key: string; line: LogLine } | (LogMark & { n: number });

/** Enough to scroll back through a failover under load; older rows leave. */
export const RING_MAX = 10_000;

export const LEVELS: readonly LogLevel[] = ['error', 'warn', 'info', 'debug'];
export const LEVEL_RANK: Record<LogLevel, number> = { error: 0, warn: 1, info: 2, debug: 3 };

/** A ring of rows, oldest first. Counts what ever came so that a frozen view can say how many are new. */
export class LogRing {
  #rows: LogRow[] = [];
  /** What the first row that is kept is the how-manieth of. */
  #first = 0;
  /** Grows when rows came in between others. */
  #generation = 0;
  #arrived = 0;
  #marks = 0;
  #lastSeq = -1;
  /** Lines still to come that the proxy repeats after connecting. */
  #repeats = 0;
  #max: number;

  constructor(max = RING_MAX) {
    this.#max = max;
  }

  /** What is kept now; it does not change when more comes. */
  source(): { rows: readonly LogRow[]; first: number; generation: number } {
    return { rows: this.#rows, first: this.#first, generation: this.#generation };
  }

  get arrived(): number {
    return this.#arrived;
  }

  get size(): number {
    return this.#rows.length;
  }

  accept(frame: LogFrame): void {
    switch (frame.type) {
      case 'hello':
        // After a restart the proxy counts from the start again.
        this.#lastSeq = -1;
        this.#repeats = frame.recent;
        return;
      case 'dropped':
        this.mark('dropped', `${frame.count.toLocaleString('en-US')} ${frame.count === 1 ? 'line' : 'lines'} skipped: this page reads slower than the proxy writes`);
        return;
      case 'lines':
        this.#append(frame.lines);
    }
  }

  mark(kind: LogMark['kind'], text: string): void {
    this.#push([{ kind, n: 0, key: `mark-${(this.#marks += 1)}`, text }]);
  }

  clear(): void {
    this.#first += this.#rows.length;
    this.#rows = [];
  }

  #append(lines: readonly LogLine[]): void {
    const first = lines[0];
    if (first === undefined) return;
    const rows = lines.map((line): LogRow => ({ kind: 'line', n: 0, key: `${line.seq}/${line.at}`, line }));
    if (this.#repeats > 0 || first.seq <= this.#lastSeq) this.#merge(rows);
    else this.#push(rows);
    this.#repeats = Math.max(0, this.#repeats - rows.length);
    this.#lastSeq = lines[lines.length - 1]?.seq ?? this.#lastSeq;
  }

  #push(rows: LogRow[]): void {
    this.#arrived += rows.length;
    let n = this.#first + this.#rows.length;
    for (const row of rows) {
      row.n = n;
      n += 1;
    }
    this.#rows = this.#rows.concat(rows);
    this.#trim();
  }

  /** Puts repeated and older lines in their places by time; marks stay after the line they followed. */
  #merge(rows: LogRow[]): void {
    const known = new Set(this.#rows.map((row) => row.key));
    const fresh = rows.filter((row) => !known.has(row.key));
    if (fresh.length === 0) return;
    this.#arrived += fresh.length;
    const timed: { row: LogRow; at: number }[] = [];
    let at = -Infinity;
    for (const row of this.#rows) {
      if (row.kind === 'line') at = Date.parse(row.line.at);
      timed.push({ row, at });
    }
    for (const row of fresh) if (row.kind === 'line') timed.push({ row, at: Date.parse(row.line.at) });
    // The sort is stable: within a millisecond, what was known comes first, then by arrival.
    // Rows that are on view elsewhere keep their places there.
    this.#rows = timed.sort((a, b) => a.at - b.at).map((it, index) => ({ ...it.row, n: this.#first + index }));
    this.#generation += 1;
    this.#trim();
  }

  #trim(): void {
    const over = this.#rows.length - this.#max;
    if (over <= 0) return;
    this.#rows = this.#rows.slice(over);
    this.#first += over;
  }
}

const lineTexts = new WeakMap<LogLine, string>();

/** What a line says: "warn fleet pool failed over pool=api". */
export function lineText(line: LogLine): string {
  let text = lineTexts.get(line);
  if (text === undefined) {
    text = `${line.level} ${line.target} ${line.message} ${fieldsText(line.fields)}`.trimEnd();
    lineTexts.set(line, text);
  }
  return text;
}

/** "pool=api backend=primary", as the text log prints it. */
export function fieldsText(fields: Record<string, unknown>): string {
  return Object.entries(fields)
    .map(([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join(' ');
}

/** Counts what a group of rows holds, for the line above the log. */
export function lineCount(rows: readonly LogRow[]): number {
  let lines = 0;
  for (const row of rows) if (row.kind === 'line') lines += 1;
  return lines;
}
