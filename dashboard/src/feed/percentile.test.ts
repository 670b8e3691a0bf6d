import { expect, test } from 'vitest';
import { histogramsOf, quantile } from './percentile';
import { keyOf } from './key';

const page = (counts: number[]): string => `# TYPE bascule_upstream_duration_seconds histogram
${['0.001', '0.01', '0.1', '+Inf'].map((le, index) => `bascule_upstream_duration_seconds_bucket{backend="a \\"b\\"",pool="api",le="${le}"} ${counts[index]}`).join('\n')}
bascule_upstream_duration_seconds_sum{backend="a \\"b\\"",pool="api"} 1.5
`;
const read = (counts: number[]) => histogramsOf(page(counts)).get(keyOf('api', 'a "b"'));

test('histograms are found by pool and backend', () => {
  expect(read([1, 2, 3, 4])).toEqual({ bounds: [0.001, 0.01, 0.1, Infinity], counts: [1, 2, 3, 4] });
  expect(histogramsOf('up 1\n').size).toBe(0);
});

test('a quantile is of what came since the reading before', () => {
  const [then, now] = [read([900, 1000, 1000, 1000]), read([900, 1050, 1100, 1100])];
  if (then === undefined || now === undefined) throw new Error('nothing was read');
  expect(quantile(0.5, now, then)).toBeCloseTo(0.01);
  expect(quantile(0.99, now, then)).toBeCloseTo(0.0982);
  expect(quantile(0.5, now, undefined)).toBeLessThan(0.001);
  expect(quantile(0.99, then, then)).toBeNull();
  const beyond = read([0, 0, 0, 5]);
  expect(beyond && quantile(0.99, beyond, undefined)).toBe(0.1);
});
