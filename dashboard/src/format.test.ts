import { expect, test } from 'vitest';
import { count, duration, names, plural, rate, ratio, span } from './format';

const plain = (text: string): string => text.replaceAll('\u00a0', ' ');

test.each([
  [0, '0 ms'], [0.00002, '20 µs'], [0.0004, '0.4 ms'], [0.001, '1 ms'], [0.0099, '9.9 ms'], [0.013, '13 ms'], [0.9994, '999 ms'],
  [0.9996, '1 s'], [3.2, '3.2 s'], [59.94, '59.9 s'], [60, '1 m'], [134, '2 m 14 s'], [8040, '2 h 14 m'],
])('a duration of %d s reads %s', (seconds, wanted) => expect(plain(duration(seconds))).toBe(wanted));

test.each([
  [-3, '0 s'], [12.4, '12 s'], [60, '1 m'], [3600, '1 h'], [90_000, '1 d 1 h'],
])('a span of %d s reads %s', (seconds, wanted) => expect(plain(span(seconds))).toBe(wanted));

test.each([
  [0, '0 %'], [0.00001, '< 0.01 %'], [0.0025, '0.25 %'], [0.005, '0.5 %'], [0.01, '1 %'], [0.17, '17 %'], [0.99999, '99.9 %'], [1, '100 %'],
])('a ratio of %d reads %s', (value, wanted) => expect(plain(ratio(value))).toBe(wanted));

test('counts and rates are grouped and rounded', () => {
  expect([count(12000), count(1_250_000), rate(0.4), rate(200.4), plural(1, 'request'), plural(0, 'request')]).toEqual([
    '12,000', '1.3M', '0.4', '200', '1 request', '0 requests',
  ]);
});

test('names are joined as one would say them', () => {
  expect([names(['a']), names(['a', 'b']), names(['a', 'b', 'c', 'd'])]).toEqual(['a', 'a and b', 'a, b and 2 more']);
});
