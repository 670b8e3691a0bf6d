import { expect, test } from 'vitest';
import { backend, incident, SECONDARY, series } from '../fixtures';
import { clustersOf, gapsOf, lanesOf, pathOf } from './lanes';

const at = (seconds: number): string => new Date(seconds * 1000).toISOString();
const up = [backend({ since: at(0) }), backend({ ...SECONDARY, since: at(0) })];

test('who answered is who served', () => {
  const [first, second] = lanesOf(series(), up, [], 1003).shown;
  expect(first?.traffic).toEqual([{ from: 1000, to: 1001, kind: 'serving' }, { from: 1001, to: 1003, kind: 'idle' }]);
  expect(second?.traffic.map((it) => it.kind)).toEqual(['idle', 'serving']);
});

test('short pauses are bridged, and where the proxy did not run is a gap', () => {
  const quiet = series({ requests: [1, 0, 1, null, null, 2], lost: [], rescued: [], p50_seconds: [], p99_seconds: [], backends: { primary: [1, 0, 1, null, null, 2] } });
  expect(lanesOf(quiet, up, [], 1006).shown[0]?.traffic.map((it) => [it.from, it.to, it.kind])).toEqual([[1000, 1003, 'serving'], [1003, 1005, 'gap'], [1005, 1006, 'serving']]);
  expect(gapsOf(quiet)).toEqual([{ from: 1003, to: 1005 }]);
  expect(gapsOf(series({ ...quiet, requests: [null, null, 1, 1, 1, 1] }))).toEqual([]);
});

test('an incident is a suspicion, then an absence until recovery', () => {
  const one = incident({ moments: { ...incident().moments, suspected_at: at(1001), decided_at: at(1002), recovered_at: at(1005) } });
  expect(lanesOf(series(), up, [one], 1010).shown[0]?.trouble).toEqual([{ from: 1001, to: 1002, kind: 'suspect' }, { from: 1002, to: 1005, kind: 'out' }]);
  expect(lanesOf(series(), up, [one], 1010).shown[1]?.trouble).toEqual([]);
});

test('what is wrong now and told by no incident shows all the same', () => {
  const spare = backend({ ...SECONDARY, state: 'down', since: at(1001) });
  expect(lanesOf(series(), [spare], [], 1010).shown[0]?.trouble).toEqual([{ from: 1001, to: 1010, kind: 'out' }]);
  expect(lanesOf(series(), [{ ...spare, name: 'primary', state: 'up', intent: 'draining' }], [], 1010).shown[0]?.trouble).toEqual([{ from: 1001, to: 1010, kind: 'planned' }]);
});

test('of many backends, those in trouble are shown', () => {
  const many = Array.from({ length: 40 }, (_, index) => backend({ name: `b${index}`, since: at(0), state: index === 39 ? 'down' : 'up' }));
  const { shown, left } = lanesOf(series({ backends: { b7: [1, 1, 1] } }), many, [], 1003);
  expect([shown.map((it) => it.name), left]).toEqual([['b39'], 39]);
});

test('a stretch of a moment is still seen, and what is outside is not drawn', () => {
  expect(pathOf([{ from: 50, to: 50.01, kind: 'out' }], 'out', 0, 100, 1000, 2)).toBe('M500.0 0H502.0V10H500.0Z');
  expect(pathOf([{ from: 150, to: 160, kind: 'out' }], 'out', 0, 100, 1000, 2)).toBe('');
});

test('marks that would cover each other are one', () => {
  const when = (id: string, seconds: number) => incident({ id, moments: { ...incident().moments, suspected_at: at(seconds) } });
  const found = clustersOf([when('a', 10), when('b', 11), when('c', 60), when('d', 500)], 'api', 0, 100, 1000, 26);
  expect(found.map((it) => it.incidents.map((one) => one.id))).toEqual([['a', 'b'], ['c']]);
});
