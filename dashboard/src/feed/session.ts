// Who is at this page, what they may do, and how they show it.

import { batch, computed, effect, signal, untracked } from '@preact/signals';
import * as control from '../wire/control';
import type { WhoAmI } from '../wire/types';
import { call } from './api';
import type { Answer } from './api';
import { clearLog } from './log';
import { clearOrders } from './orders';
import { past } from './past';
import { clearStore, connection, health, isForbidden, me } from './store';
import { keepToken, token } from './token';

/** A token that is revoked, or a role that is changed, is noticed within this. */
const RENEW_MS = 5_000;

/** The dialog for signing in is open. */
export const isSigningIn = signal(false);
/** Grows when the page begins afresh: with it, what screens keep for themselves goes, too. */
export const visit = signal(0);

/** Shows a token to the sidecar, and keeps it if it is somebody's. */
export async function signIn(shown: string): Promise<Answer<WhoAmI>> {
  const answer = await ask(shown);
  if (answer.ok) {
    me.value = answer.value;
    keepToken(shown);
  }
  return answer;
}

/** Whoever comes to this page next is shown nothing that was shown to whoever leaves it. */
export function signOut(): void {
  batch(() => {
    keepToken(null);
    me.value = null;
    putAway();
  });
}

/** Puts away all that the proxy has said, and what was made of it. */
function putAway(): void {
  clearStore();
  clearOrders();
  clearLog();
  past.value = null;
  visit.value += 1;
}

function ask(shown?: string): Promise<Answer<WhoAmI>> {
  return call({ path: '/api/whoami', decode: control.whoAmI, ...(shown === undefined ? {} : { token: shown }) });
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
  // What somebody was shown whose token has been revoked is not for whoever is shown nothing.
  effect(() => {
    if (isForbidden.value && health.peek() !== null) untracked(() => batch(putAway));
  });
  // Nothing else tells of a role that has changed.
  window.setInterval(() => {
    if (connection.peek().kind === 'live' && !document.hidden) renew();
  }, RENEW_MS);
}
