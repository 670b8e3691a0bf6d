import { expect, test } from 'vitest';
import { combine } from './keys';

const KNOWN = ['?', 'j', 'g o', 'g l'];

test('two keys in a row are one shortcut, if the second comes soon', () => {
  const first = combine(null, 'g', 1000, KNOWN);
  expect(first).toEqual({ keys: 'g', next: { keys: 'g', at: 1000 } });
  expect(combine(first.next, 'l', 1400, KNOWN)).toEqual({ keys: 'g l', next: null });
  expect(combine(first.next, 'l', 9000, KNOWN)).toEqual({ keys: 'l', next: null });
});

test('a second key that makes no pair counts by itself', () => {
  expect(combine({ keys: 'g', at: 0 }, 'j', 100, KNOWN)).toEqual({ keys: 'j', next: null });
  expect(combine({ keys: 'g', at: 0 }, 'g', 100, KNOWN)).toEqual({ keys: 'g', next: { keys: 'g', at: 100 } });
});
