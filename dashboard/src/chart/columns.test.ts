import { expect, test } from 'vitest';
import { complete } from '../feed/complete';
import { shares } from '../feed/share';
import { incident, pool, series, T } from '../fixtures';
import { bandsOf, errorRatios, perSecond, rowSeconds, tableRows } from './columns';

test('the second still under way is left out', () => {
  expect(complete(series(), 1002.5).requests).toEqual([10, 10]);
  expect(complete(series(), 1002.5).backends).toEqual({ primary: [10, 0], secondary: [0, 10] });
  expect(complete(series(), 1003).requests).toEqual([10, 10, 4]);
  expect(complete(series(), 0).requests).toEqual([]);
});

test('error ratios have no value where nothing was asked', () => {
  expect(errorRatios(series({ requests: [10, 10, 0] }))).toEqual([0, 0.1, null]);
});

test('shares come from the last seconds since the tier changed', () => {
  const since = (seconds: number) => pool({ since: new Date(seconds * 1000).toISOString() });
  const share = (seconds: number) => Object.fromEntries(shares(series(), since(seconds)));
  expect(share(0)).toEqual({ primary: 10 / 24, secondary: 14 / 24 });
  expect(share(1000.4)).toEqual({ primary: 0, secondary: 1 });
  expect(share(1002.5)).toEqual({ primary: 1 });
  expect(shares(series({ backends: { primary: [0, 0, 0] } }), since(0)).size).toBe(0);
});

test('an open incident reaches to now, and other pools stay out', () => {
  const from = Date.parse(T) / 1000;
  expect(bandsOf([incident({ state: 'serving' }), incident({ pool: 'other' })], 'api', from + 9)).toEqual([
    { from, to: from + 9, window: { from, to: from + 9 }, label: 'api-1' },
  ]);
});

test('a closed incident ends when traffic was back, its window when traffic had settled', () => {
  const from = Date.parse(T) / 1000;
  const later = (seconds: number) => new Date((from + seconds) * 1000).toISOString();
  const closed = incident({ window: { from: T, to: later(1) }, moments: { ...incident().moments, recovered_at: later(4), failed_back_at: later(9) } });
  expect(bandsOf([closed], 'api', from + 60)).toEqual([{ from, to: from + 9, window: { from, to: from + 1 }, label: 'api-1' }]);
});

test('the table sums counts and keeps the worst percentile', () => {
  expect(tableRows(series(), 10)).toEqual([{ at: 1000, requests: 24, lost: 1, rescued: 2, p50: 0.002, p99: 0.3, backends: [10, 14] }]);
  expect(perSecond([10, null, 20], 5)).toEqual([2, null, 4]);
  expect([rowSeconds(900), rowSeconds(3600), rowSeconds(86_400)]).toEqual([10, 60, 900]);
});
