import { expect, test } from 'vitest';
import { text } from '../wire/shape';
import { call } from './api';

const answering = (body: string, status: number): typeof fetch => async () => new Response(body, { status });
const ask = (fetcher: typeof fetch) => call({ path: '/api/x', decode: text }, fetcher);

test('an answer is decoded', async () => {
  expect(await ask(answering('"hello"', 200))).toEqual({ ok: true, value: 'hello' });
});

test.each([
  ['an error that explains itself', answering('{"error":{"code":"c","message":"it is so","remedy":"do this"}}', 409), { message: 'it is so', remedy: 'do this', status: 409 }],
  ['an error that does not', answering('{"oops":1}', 500), { message: 'HTTP status 500', status: 500 }],
  ['no JSON', answering('<html>', 200), { message: 'the answer is not JSON', status: 200 }],
  ['no JSON and an error', answering('bad gateway', 502), { message: 'HTTP status 502 without an explanation', status: 502 }],
  ['the wrong shape', answering('7', 200), { message: 'the answer could not be read: answer: expected a string, got 7', status: 200 }],
  ['no connection', (() => Promise.reject(new TypeError('failed'))) as typeof fetch, { message: 'no connection', status: null }],
  ['no answer in time', (() => Promise.reject(new DOMException('late', 'TimeoutError'))) as typeof fetch, { message: 'no answer within 4 s', status: null }],
])('%s becomes a problem', async (_, fetcher, wanted) => {
  const answer = await ask(fetcher);
  expect(answer).toMatchObject({ ok: false, problem: { what: 'GET /api/x', ...wanted } });
});
