import { expect, test } from 'vitest';
import { line } from '../fixtures';
import { lineCount, LogRing, RING_MAX } from './loglines';
import type { LogRow } from './loglines';

const said = (rows: readonly LogRow[]): string[] => rows.map((row) => (row.kind === 'line' ? row.line.message : `[${row.kind}]`));
const lines = (from: number, to: number) => ({ type: 'lines' as const, lines: Array.from({ length: to - from + 1 }, (_, index) => line(from + index)) });

test('lines append in order, skipped ones leave a mark between them', () => {
  const ring = new LogRing();
  ring.accept({ type: 'hello', schema: 1, recent: 0 });
  ring.accept(lines(1, 2));
  ring.accept({ type: 'dropped', count: 214 });
  ring.accept(lines(217, 217));
  expect(said(ring.source().rows)).toEqual(['line 1', 'line 2', '[dropped]', 'line 217']);
  expect(lineCount(ring.source().rows)).toBe(3);
});

test('a new connection repeats nothing and fills what was missed', () => {
  const ring = new LogRing();
  ring.accept({ type: 'hello', schema: 1, recent: 2 });
  ring.accept(lines(1, 2));
  ring.accept(lines(5, 5));
  ring.accept({ type: 'hello', schema: 1, recent: 6 });
  ring.accept(lines(1, 3));
  ring.accept(lines(4, 6));
  ring.accept(lines(7, 7));
  expect(said(ring.source().rows)).toEqual([1, 2, 3, 4, 5, 6, 7].map((it) => `line ${it}`));
});

test('a restarted proxy counts from one again and its lines come last', () => {
  const ring = new LogRing();
  ring.accept(lines(1, 3));
  ring.accept({ type: 'hello', schema: 1, recent: 1 });
  const later = new Date(Date.parse(line(3).at) + 60_000).toISOString();
  ring.accept({ type: 'lines', lines: [line(1, { at: later, message: 'started' })] });
  ring.accept({ type: 'lines', lines: [line(2, { at: later, message: 'again' })] });
  expect(said(ring.source().rows)).toEqual(['line 1', 'line 2', 'line 3', 'started', 'again']);
});

test('the ring is bounded and keeps the newest', () => {
  const ring = new LogRing();
  for (let from = 1; from <= 12_000; from += 100) ring.accept(lines(from, from + 99));
  expect(ring.size).toBe(RING_MAX);
  expect(said(ring.source().rows).at(0)).toBe('line 2001');
  expect(said(ring.source().rows).at(-1)).toBe('line 12000');
  expect(ring.arrived).toBe(12_000);
});
