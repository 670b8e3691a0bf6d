import { expect, test } from 'vitest';
import { series } from '../fixtures';
import { merge } from './merge';
import { againAfter } from './past';
import { rangeOf, zoomOf } from './window';

test('the newest seconds take the place of those shown before, and the oldest leave', () => {
  const newer = series({ start: 1002, requests: [9, 8], lost: [1, 0], rescued: [0, 0], p50_seconds: [0.1, null], p99_seconds: [0.2, null], backends: { third: [9, 8] } });
  expect(merge(series(), newer, 3)).toMatchObject({ start: 1001, requests: [10, 9, 8], lost: [1, 1, 0], p99_seconds: [0.3, 0.2, null], backends: { primary: [0, 0, 0], third: [0, 9, 8] } });
  expect(merge(series(), newer, 900)).toMatchObject({ start: 1000, requests: [10, 10, 9, 8] });
  expect(merge(series(), newer, 1)).toMatchObject({ start: 1003, requests: [8], backends: { secondary: [0] } });
});

test('what does not fit together is not joined', () => {
  expect(merge(series(), series({ start: 1004 }), 9)).toBeNull();
  expect(merge(series(), series({ start: 999 }), 9)).toBeNull();
  expect(merge(series(), series({ pool: 'other' }), 9)).toBeNull();
  expect(merge(series(), series({ step_seconds: 60 }), 9)).toBeNull();
});

test('a window that is over is not asked for again', () => {
  expect(againAfter({ pool: 'api', seconds: 60, end: 100 }, 1, 200)).toBeNull();
  expect(againAfter({ pool: 'api', seconds: 60, end: 100 }, 1, 99)).toBe(5_000);
  expect(againAfter({ pool: 'api', seconds: 86_400, end: null }, 60, 99)).toBe(60_000);
});

test('an address with nonsense in it shows the first range', () => {
  expect(rangeOf('7y').name).toBe('15m');
  expect(zoomOf('1000', '1030')).toEqual({ from: 1000, to: 1030 });
  expect([zoomOf('1000', '1001'), zoomOf('x', '7'), zoomOf(null, '9'), zoomOf('1', '999999')]).toEqual([null, null, null, null]);
});
