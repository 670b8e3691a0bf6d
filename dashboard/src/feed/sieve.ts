// Sorts rows of the log as they come: each is looked at once, however long the log is. Rows that pass the
// level and the backend make up the view; those of them that hold what is searched for are the hits.

import { LEVEL_RANK, lineText } from './loglines';
import type { LogRow } from './loglines';
import type { Matcher } from './regex';
import type { LogLevel, LogLine } from '../wire/types';

export interface LogFilter {
  level: LogLevel;
  backend: string | null;
  /** Unix ms; lines outside are left out. */
  from: number | null;
  to: number | null;
  /** Words that a line must hold, all of them. Not used with a matcher. */
  text: string;
}

/** Rows and what their first one is the how-manieth of. */
export interface LogSource {
  rows: readonly LogRow[];
  first: number;
  /** Changes when rows came in between others, so that all must be looked at again. */
  generation: number;
}

/** Lines tried by an expression at a time. */
const BATCH = 500;

export class Sieve {
  #filter: LogFilter;
  #matcher: Matcher | null;
  #words: string[];
  #source: LogSource = { rows: [], first: 0, generation: -1 };
  #next = 0;
  #isBusy = false;
  /** Counts the times that all was begun anew; an answer for an earlier time is not used. */
  #era = 0;
  #onChange: () => void;
  view: LogRow[] = [];
  hits: LogRow[] = [];
  /** The expression took too long and was given up. */
  isGivenUp = false;

  constructor(filter: LogFilter, matcher: Matcher | null, onChange: () => void) {
    this.#filter = filter;
    this.#matcher = matcher;
    this.#words = matcher === null ? filter.text.toLowerCase().split(/\s+/).filter(Boolean) : [];
    this.#onChange = onChange;
  }

  /** Looks at what has come, and forgets what has left. */
  update(source: LogSource): void {
    const isOther = source.generation !== this.#source.generation || source.first < this.#source.first;
    this.#source = source;
    if (isOther) {
      this.#era += 1;
      this.#isBusy = false;
      this.#next = source.first;
      this.view = [];
      this.hits = [];
    }
    this.#next = Math.max(this.#next, source.first);
    this.view = from(this.view, source.first);
    this.hits = from(this.hits, source.first);
    this.#pump();
  }

  #pump(): void {
    const { rows, first } = this.#source;
    if (this.#matcher !== null) {
      if (!this.#isBusy && !this.isGivenUp && this.#next < first + rows.length) void this.#tryBatch(this.#matcher);
      return;
    }
    const fresh = rows.slice(this.#next - first).filter((row) => this.#belongs(row));
    this.#next = first + rows.length;
    if (fresh.length === 0) return;
    this.view = this.view.concat(fresh);
    this.hits = this.#words.length === 0 ? this.view : this.hits.concat(fresh.filter((row) => row.kind === 'line' && this.#holds(row.line)));
  }

  async #tryBatch(matcher: Matcher): Promise<void> {
    const era = this.#era;
    const { rows, first } = this.#source;
    const batch = rows.slice(this.#next - first, this.#next - first + BATCH);
    const fresh = batch.filter((row) => this.#belongs(row));
    const lines = fresh.filter((row) => row.kind === 'line');
    this.#isBusy = true;
    const found = await matcher.match(lines.map((row) => lineText(row.line)));
    if (era !== this.#era) return;
    this.#isBusy = false;
    if (found === null) {
      this.isGivenUp = true;
    } else {
      this.#next += batch.length;
      this.view = from(this.view.concat(fresh), this.#source.first);
      this.hits = from(this.hits.concat(lines.filter((_, index) => found[index] === true)), this.#source.first);
      this.#pump();
    }
    this.#onChange();
  }

  #belongs(row: LogRow): boolean {
    // Marks always do: they tell of lines nobody saw.
    if (row.kind !== 'line') return this.#filter.from === null;
    const { line } = row;
    const { level, backend, from: begin, to } = this.#filter;
    if (LEVEL_RANK[line.level] > LEVEL_RANK[level]) return false;
    if (backend !== null && !names(line, backend)) return false;
    if (begin === null && to === null) return true;
    const at = Date.parse(line.at);
    return (begin === null || at >= begin) && (to === null || at <= to);
  }

  #holds(line: LogLine): boolean {
    const text = lineText(line).toLowerCase();
    return this.#words.every((word) => text.includes(word));
  }
}

/** A line is about a backend if one of its fields names it: `backend`, `to`, `from`. */
function names(line: LogLine, backend: string): boolean {
  return Object.values(line.fields).includes(backend);
}

/** Without the rows that have left the log; the same array if none has. */
function from(rows: LogRow[], first: number): LogRow[] {
  if (rows.length === 0 || (rows[0]?.n ?? 0) >= first) return rows;
  const at = rows.findIndex((row) => row.n >= first);
  return at < 0 ? [] : rows.slice(at);
}
