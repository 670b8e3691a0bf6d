// One request to the API: a typed answer, or a problem that says what failed and what to try.

import { errorBody } from '../wire/decode';
import { DecodeError } from '../wire/shape';
import type { Decoder } from '../wire/shape';
import { token, tokenRefused } from './token';

export interface Problem {
  /** What was asked, as a person would say it: "GET /api/proxy/health". */
  what: string;
  message: string;
  remedy: string;
  /** HTTP status, or null when there was no answer. */
  status: number | null;
  /** The error's word for programs, where the answer had one. */
  code?: string;
  /** How things are, where they are not as was expected. */
  present?: unknown;
  /** The entry of the audit list about it. */
  auditId?: number;
  /** By which the log knows the request. */
  requestId?: string;
  /** Nothing is looked at before so many seconds are over. */
  retryAfter?: number;
}

export type Answer<T> = { ok: true; value: T } | { ok: false; problem: Problem };

interface Call<T> {
  path: string;
  decode: Decoder<T>;
  method?: 'GET' | 'POST' | 'PUT';
  /** Sent as JSON. */
  body?: unknown;
  /** Sent as it is, as YAML. */
  yaml?: string;
  /** The answer is text, not JSON. */
  isText?: boolean;
  /** Statuses beside 2xx whose body is the answer. */
  alsoGood?: readonly number[];
  timeoutMs?: number;
  /** Shown in place of the token that is kept; null shows none. */
  token?: string | null;
}

/** A poll that takes longer than this is given up; the next one starts afresh. */
const TIMEOUT_MS = 4_000;
/** Actions may wait for a backend to answer, so they get longer. */
const ACTION_TIMEOUT_MS = 12_000;

const REACH_REMEDY = 'check that bascule runs and that its admin address is the one the dashboard was given';
const VERSION_REMEDY = 'reload the page; if it stays, the page and the proxy are of different versions';
const UNSURE_REMEDY = 'look whether it was done before you try again; the audit list says so';

export async function call<T>(request: Call<T>, fetcher: typeof fetch = fetch): Promise<Answer<T>> {
  const method = request.method ?? 'GET';
  const what = `${method} ${request.path}`;
  const timeout = request.timeoutMs ?? (method === 'GET' ? TIMEOUT_MS : ACTION_TIMEOUT_MS);
  const shown = request.token === undefined ? token.peek() : request.token;
  let response: Response;
  let body: string;
  try {
    response = await fetcher(request.path, {
      method,
      signal: AbortSignal.timeout(timeout),
      cache: 'no-store',
      headers: headersOf(request, shown),
      ...bodyOf(request),
    });
    body = await response.text();
  } catch (error) {
    const late = error instanceof DOMException && error.name === 'TimeoutError';
    const remedy = method === 'GET' ? REACH_REMEDY : UNSURE_REMEDY;
    return { ok: false, problem: { what, message: late ? `no answer within ${timeout / 1000} s` : 'no connection', remedy, status: null } };
  }
  const answer = read(request, what, response, body);
  if (!answer.ok && response.status === 401 && shown !== null && request.token === undefined) {
    tokenRefused(shown, answer.problem.message, Date.now());
  }
  return answer;
}

function headersOf<T>(request: Call<T>, shown: string | null): Record<string, string> {
  return {
    accept: request.isText ? 'application/yaml' : 'application/json',
    ...(request.yaml !== undefined ? { 'content-type': 'application/yaml' } : request.body !== undefined ? { 'content-type': 'application/json' } : {}),
    ...(shown === null ? {} : { authorization: `Bearer ${shown}` }),
  };
}

function bodyOf<T>(request: Call<T>): { body?: string } {
  if (request.yaml !== undefined) return { body: request.yaml };
  return request.body === undefined ? {} : { body: JSON.stringify(request.body) };
}

function read<T>(request: Call<T>, what: string, response: Response, body: string): Answer<T> {
  const failed = (message: string, remedy: string, more: Partial<Problem> = {}): Answer<T> => ({
    ok: false,
    problem: { what, message, remedy, status: response.status, ...marks(response), ...more },
  });
  const isGood = response.ok || request.alsoGood?.includes(response.status) === true;
  let json: unknown = body;
  if (!isGood || !request.isText) {
    try {
      json = JSON.parse(body);
    } catch {
      const message = isGood ? 'the answer is not JSON' : `HTTP status ${response.status} without an explanation`;
      return failed(message, isGood ? VERSION_REMEDY : REACH_REMEDY);
    }
  }
  try {
    if (isGood) return { ok: true, value: request.decode(json, '') };
    const { error } = errorBody(json, '');
    return failed(error.message, error.remedy, { code: error.code, ...(error.present === null ? {} : { present: error.present }) });
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    if (!isGood) return failed(`HTTP status ${response.status}`, REACH_REMEDY);
    return failed(`the answer could not be read: ${error.message}`, VERSION_REMEDY);
  }
}

/** What an answer's headers say about itself. */
function marks(response: Response): Partial<Problem> {
  const number = (name: string): number | null => {
    const text = response.headers.get(name);
    return text === null || !/^\d+$/.test(text) ? null : Number(text);
  };
  const [auditId, retryAfter, requestId] = [number('x-audit-id'), number('retry-after'), response.headers.get('x-request-id')];
  return {
    ...(auditId === null ? {} : { auditId }),
    ...(retryAfter === null ? {} : { retryAfter }),
    ...(requestId === null ? {} : { requestId }),
  };
}
