import { afterEach, expect, test, vi } from 'vitest';
import { text } from '../wire/shape';
import { call } from './api';
import { expiry, keepToken, token } from './token';

afterEach(() => {
  keepToken(null);
  expiry.value = null;
});

function answering(status: number, body: string, headers: Record<string, string> = {}) {
  return vi.fn<typeof fetch>(async () => new Response(body, { status, headers }));
}

const wrong = '{"error":{"code":"token_wrong","message":"it is nobody\'s","remedy":"send another"}}';
const shown = (fetcher: ReturnType<typeof answering>) => (fetcher.mock.calls[0]?.[1]?.headers as Record<string, string>)['authorization'];

test('the token is shown with every call, and nothing is where there is none', async () => {
  const fetcher = answering(200, '"hello"');
  await call({ path: '/api/x', decode: text }, fetcher);
  expect(shown(fetcher)).toBeUndefined();
  keepToken('secret');
  const again = answering(200, '"hello"');
  await call({ path: '/api/x', decode: text }, again);
  expect(shown(again)).toBe('Bearer secret');
});

test('one that is not known any more is put away at once, and that is said', async () => {
  keepToken('old');
  await call({ path: '/api/x', decode: text }, answering(401, wrong));
  expect([token.value, expiry.value?.message]).toEqual([null, "it is nobody's"]);
});

test('one that is only tried is not kept, nor does it take away the one that is', async () => {
  keepToken('good');
  const answer = await call({ path: '/api/whoami', decode: text, token: 'tried' }, answering(401, wrong));
  expect([answer.ok, token.value, expiry.value]).toEqual([false, 'good', null]);
});

test('a late refusal of an old token does not take the new one away', async () => {
  keepToken('old');
  const fetcher = vi.fn<typeof fetch>(async () => {
    keepToken('new');
    return new Response(wrong, { status: 401 });
  });
  await call({ path: '/api/x', decode: text }, fetcher);
  expect(token.value).toBe('new');
});

test('a refusal tells its code, how things are, how long to wait and where it is noted', async () => {
  const body = '{"error":{"code":"changed","message":"m","remedy":"r","present":{"weight":7}}}';
  const answer = await call({ path: '/api/x', method: 'POST', decode: text }, answering(409, body, { 'x-audit-id': '12', 'retry-after': '3', 'x-request-id': 'abc' }));
  expect(answer).toMatchObject({ ok: false, problem: { code: 'changed', present: { weight: 7 }, auditId: 12, retryAfter: 3, requestId: 'abc' } });
});

test('a refused configuration is an answer where it is asked for', async () => {
  const answer = await call({ path: '/api/config/check', yaml: 'a: 1', method: 'POST', decode: text, alsoGood: [422] }, answering(422, '"no"'));
  expect(answer).toEqual({ ok: true, value: 'no' });
  const fetcher = answering(200, 'a: 1\n');
  expect(await call({ path: '/api/config', decode: text, isText: true }, fetcher)).toEqual({ ok: true, value: 'a: 1\n' });
});
