// One request to the API: a typed answer, or a problem that says what failed and what to try.

import { errorBody } from '../wire/decode';
import { DecodeError } from '../wire/shape';
import type { Decoder } from '../wire/shape';

export interface Problem {
  /** What was asked, as a person would say it: "GET /api/proxy/health". */
  what: string;
  message: string;
  remedy: string;
  /** HTTP status, or null when there was no answer. */
  status: number | null;
}

export type Answer<T> = { ok: true; value: T } | { ok: false; problem: Problem };

export interface Call<T> {
  path: string;
  decode: Decoder<T>;
  method?: 'GET' | 'POST';
  body?: unknown;
}

/** A poll that takes longer than this is given up; the next one starts afresh. */
const TIMEOUT_MS = 4_000;
/** Actions may wait for a backend to answer, so they get longer. */
const ACTION_TIMEOUT_MS = 12_000;

const REACH_REMEDY = 'check that bascule runs and that its admin address is the one the dashboard was given';
const VERSION_REMEDY = 'reload the page; if it stays, the page and the proxy are of different versions';

export async function call<T>(request: Call<T>, fetcher: typeof fetch = fetch): Promise<Answer<T>> {
  const method = request.method ?? 'GET';
  const what = `${method} ${request.path}`;
  const timeout = method === 'POST' ? ACTION_TIMEOUT_MS : TIMEOUT_MS;
  const failed = (message: string, remedy: string, status: number | null): Answer<T> => ({
    ok: false,
    problem: { what, message, remedy, status },
  });
  let response: Response;
  let body: string;
  try {
    response = await fetcher(request.path, {
      method,
      signal: AbortSignal.timeout(timeout),
      cache: 'no-store',
      headers: { accept: 'application/json', ...(request.body === undefined ? {} : { 'content-type': 'application/json' }) },
      ...(request.body === undefined ? {} : { body: JSON.stringify(request.body) }),
    });
    body = await response.text();
  } catch (error) {
    const late = error instanceof DOMException && error.name === 'TimeoutError';
    return failed(late ? `no answer within ${timeout / 1000} s` : 'no connection', REACH_REMEDY, null);
  }
  let json: unknown;
  try {
    json = JSON.parse(body);
  } catch {
    const message = response.ok ? 'the answer is not JSON' : `HTTP status ${response.status} without an explanation`;
    return failed(message, response.ok ? VERSION_REMEDY : REACH_REMEDY, response.status);
  }
  try {
    if (response.ok) return { ok: true, value: request.decode(json, '') };
    const { error } = errorBody(json, '');
    return failed(error.message, error.remedy, response.status);
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    if (!response.ok) return failed(`HTTP status ${response.status}`, REACH_REMEDY, response.status);
    return failed(`the answer could not be read: ${error.message}`, VERSION_REMEDY, response.status);
  }
}
