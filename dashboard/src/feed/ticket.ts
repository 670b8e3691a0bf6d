// What lets a WebSocket in: browsers cannot add `Authorization` to one.

import * as control from '../wire/control';
import { call } from './api';
import { token } from './token';

/** A WebSocket's address with a ticket for it; null where none could be had. */
export async function admitted(url: string, path: string): Promise<string | null> {
  if (token.peek() === null) return url;
  const answer = await call({ path: '/api/tickets', method: 'POST', body: { path }, decode: control.ticket });
  if (!answer.ok) return token.peek() === null ? url : null;
  const full = new URL(url);
  full.searchParams.set('ticket', answer.value.ticket);
  return full.href;
}
