import { expect, test } from 'vitest';
import * as fixtures from '../fixtures';
import * as decode from './decode';
import { list, nullable, object, oneOf, text } from './shape';

const through = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

test('what the contract says passes unchanged', () => {
  expect(decode.health(through(fixtures.health()), '')).toEqual(fixtures.health());
  expect(decode.incident(through(fixtures.incident()), '')).toEqual(fixtures.incident());
  expect(decode.series(through(fixtures.series()), '')).toEqual(fixtures.series());
  const frame = { type: 'lines', lines: [fixtures.line(1)] };
  expect(decode.logFrame(through(frame), '')).toEqual(frame);
  expect(decode.logFrame({ type: 'dropped', count: 214 }, '')).toEqual({ type: 'dropped', count: 214 });
});

test('fields of a newer proxy are passed over', () => {
  expect(decode.health({ ...fixtures.health(), mood: 'fine' }, '')).toEqual(fixtures.health());
});

test.each([
  ['no object', 7, 'answer: expected an object, got 7'],
  ['a missing field', { ...fixtures.health(), ready: undefined }, 'ready: expected true or false, got nothing'],
  ['a wrong time', { ...fixtures.health(), now: 'yesterday' }, 'now: expected a time, got "yesterday"'],
  ['an unknown state', fixtures.health({ pools: [fixtures.pool({ backends: [{ ...fixtures.backend(), state: 'odd' as 'up' }] })] }), 'pools[0].backends[0].state: expected one of up, failing, down, ejected, unknown, got "odd"'],
  ['a negative count', fixtures.health({ pools: [fixtures.pool({ backends: [fixtures.backend({ in_flight: -1 })] })] }), 'pools[0].backends[0].in_flight: expected a number of at least 0, got -1'],
])('%s is refused with its place', (_, value, message) => {
  expect(() => decode.health(through(value), '')).toThrow(message);
});

test('columns of unequal length are refused', () => {
  expect(() => decode.series(fixtures.series({ lost: [0] }), '')).toThrow('lost: expected 3 points, got 1');
  expect(() => decode.series(fixtures.series({ backends: { a: [] } }), '')).toThrow('backends.a: expected 3 points, got 0');
  expect(() => decode.series(fixtures.series({ step_seconds: 0 }), '')).toThrow('step_seconds');
});

test('unknown frames are refused', () => {
  expect(() => decode.logFrame({ type: 'gossip' }, '')).toThrow('type: expected one of hello, lines, dropped, got "gossip"');
  expect(() => decode.logFrame(null, '')).toThrow('answer: expected an object, got null');
});

test('a decoder that takes less than is sent, or leaves something out, does not compile', () => {
  interface Sent {
    name: string | null;
    state: 'up' | 'down';
    all: string[];
  }
  const good = { name: nullable(text), state: oneOf('up', 'down'), all: list(text) };
  expect(object<Sent>(good)({ name: null, state: 'up', all: [] }, '')).toEqual({ name: null, state: 'up', all: [] });
  // @ts-expect-error A name may be null.
  object<Sent>({ ...good, name: text });
  // @ts-expect-error There is another state.
  object<Sent>({ ...good, state: oneOf('up') });
  // @ts-expect-error What is in a list counts, too.
  object<Sent>({ ...good, all: list(oneOf('up')) });
  // @ts-expect-error A field is not read.
  object<Sent>({ name: good.name, state: good.state });
});
