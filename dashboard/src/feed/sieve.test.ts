import { expect, test } from 'vitest';
import { line } from '../fixtures';
import { LogRing } from './loglines';
import { Sieve } from './sieve';
import type { LogFilter } from './sieve';
import { syntaxProblem } from './regex';
import type { Matcher } from './regex';

const all: LogFilter = { level: 'debug', backend: null, from: null, to: null, text: '' };
const seqs = (rows: readonly { kind: string }[]): unknown[] => rows.map((row) => ('line' in row ? (row.line as { seq: number }).seq : row.kind));

function filled(ring = new LogRing()): LogRing {
  ring.accept({ type: 'lines', lines: [line(1, { level: 'debug' }), line(2, { level: 'error', message: 'refused', fields: { backend: 'primary' } })] });
  ring.mark('dropped', '7 lines skipped');
  ring.accept({ type: 'lines', lines: [line(3, { level: 'warn', fields: { to: 'primary' } })] });
  return ring;
}

function sieved(filter: Partial<LogFilter>, matcher: Matcher | null = null) {
  const sieve = new Sieve({ ...all, ...filter }, matcher, () => {});
  sieve.update(filled().source());
  return sieve;
}

test('rows pass by level, backend and time; marks always do', () => {
  expect(seqs(sieved({}).view)).toEqual([1, 2, 'dropped', 3]);
  expect(seqs(sieved({ level: 'warn' }).view)).toEqual([2, 'dropped', 3]);
  expect(seqs(sieved({ backend: 'primary' }).view)).toEqual([2, 'dropped', 3]);
  expect(seqs(sieved({ from: Date.parse(line(2).at), to: Date.parse(line(2).at) }).view)).toEqual([2]);
});

test('hits hold every word, in whatever case, and are lines', () => {
  expect(seqs(sieved({ text: 'REFUSED primary' }).hits)).toEqual([2]);
  expect(seqs(sieved({ text: 'primary' }).view)).toEqual([1, 2, 'dropped', 3]);
});

test('each row is looked at once, and those that left the log leave the view', () => {
  const ring = new LogRing(3);
  const sieve = new Sieve({ ...all, text: 'line' }, null, () => {});
  for (let seq = 1; seq <= 5; seq += 1) {
    ring.accept({ type: 'lines', lines: [line(seq)] });
    sieve.update(ring.source());
  }
  expect([seqs(sieve.view), seqs(sieve.hits)]).toEqual([[3, 4, 5], [3, 4, 5]]);
});

test('lines that come late, in between, are seen in their place', () => {
  const ring = new LogRing();
  const sieve = new Sieve(all, null, () => {});
  ring.accept({ type: 'lines', lines: [line(1), line(5)] });
  sieve.update(ring.source());
  ring.accept({ type: 'hello', schema: 1, recent: 3 });
  ring.accept({ type: 'lines', lines: [line(1), line(3), line(5)] });
  sieve.update(ring.source());
  expect(seqs(sieve.view)).toEqual([1, 3, 5]);
});

test('an expression is tried elsewhere, in batches, and given up if it takes too long', async () => {
  const tried: number[] = [];
  const quick: Matcher = { match: (texts) => (tried.push(texts.length), Promise.resolve(texts.map((it) => /refu.ed/.test(it)))), close: () => {} };
  let changes = 0;
  const sieve = new Sieve(all, quick, () => (changes += 1));
  sieve.update(filled().source());
  await Promise.resolve();
  await Promise.resolve();
  expect([seqs(sieve.view), seqs(sieve.hits), tried, changes]).toEqual([[1, 2, 'dropped', 3], [2], [3], 1]);
  const slow = new Sieve(all, { match: () => Promise.resolve(null), close: () => {} }, () => {});
  slow.update(filled().source());
  await Promise.resolve();
  await Promise.resolve();
  expect([slow.isGivenUp, slow.hits]).toEqual([true, []]);
});

test('what is wrong with an expression is said', () => {
  expect(syntaxProblem('a(b')).toMatch(/Unterminated group/);
  expect(syntaxProblem('^a|b$')).toBeNull();
});
