// Who is at this page, what they may do, and how they show it.

import { computed, effect, signal, untracked } from '@preact/signals';
import * as control from '../wire/control';
import type { WhoAmI } from '../wire/types';
import { call } from './api';
import type { Answer } from './api';
import { connection, health, me } from './store';
import { keepToken, token } from './token';

/** A token that is revoked, or a role that is changed, is noticed within this. */
const RENEW_MS = 5_000;

/** The dialog for signing in is open. */
export const isSigningIn = signal(false);

/** Shows a token to the sidecar, and keeps it if it is somebody's. */
export async function signIn(shown: string): Promise<Answer<WhoAmI>> {
  const answer = await ask(shown);
  if (answer.ok) {
    me.value = answer.value;
    keepToken(shown);
  }
  return answer;
}

export function signOut(): void {
  me.value = null;
  keepToken(null);
}

/** Whoever comes to this page next is shown nothing that was shown to whoever leaves it. */
function ask(shown?: string): Promise<Answer<WhoAmI>> {
  return call({ path: '/api/whoami', decode: control.whoAmI, ...(shown === undefined ? {} : { token: shown }) });
}

/** A WebSocket's address with what lets it in: browsers cannot add `Authorization` to one. */
export async function admitted(url: string, path: string): Promise<string | null> {
  if (token.peek() === null) return url;
  const answer = await call({ path: '/api/tickets', method: 'POST', body: { path }, decode: control.ticket });
  if (!answer.ok) return token.peek() === null ? url : null;
  const full = new URL(url);
  full.searchParams.set('ticket', answer.value.ticket);
  return full.href;
}

/** Asks who we are at the start, after signing out, and when another process answers. */
export function startSession(): void {
  const process = computed(() => `${token.value ?? ''} ${connection.value.kind === 'live' ? health.value?.value.started_at : ''}`);
  let asked = 0;
  const renew = (): void => {
    asked += 1;
    const mine = asked;
    void ask().then((answer) => {
      if (mine === asked && answer.ok) me.value = answer.value;
    });
  };
  effect(() => {
    void process.value;
    untracked(renew);
  });
  // The feed's WebSocket outlives the token that opened it, so nothing else would tell.
  window.setInterval(() => {
    if (connection.peek().kind === 'live' && !document.hidden) renew();
  }, RENEW_MS);
}
