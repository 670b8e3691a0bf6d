// The operator's token. Kept for this tab only, and sent with every call; it goes nowhere else.

import { signal } from '@preact/signals';

const KEY = 'bascule-token';

export const token = signal<string | null>(stored());
/** Why the token that was there is there no more, if it was not its owner who took it away. */
export const expiry = signal<{ message: string; at: number } | null>(null);

function stored(): string | null {
  try {
    return sessionStorage.getItem(KEY);
  } catch {
    return null;
  }
}

export function keepToken(value: string | null): void {
  try {
    if (value === null) sessionStorage.removeItem(KEY);
    else sessionStorage.setItem(KEY, value);
  } catch {
    // A browser that keeps nothing still shows it for this visit.
  }
  token.value = value;
  if (value !== null) expiry.value = null;
}

/**
 * The sidecar does not know this token any more. It is put away at once: shown again and again, it would
 * count as many wrong attempts, and have everybody at this address wait.
 */
export function tokenRefused(refused: string, message: string, at: number): void {
  if (token.peek() !== refused) return;
  keepToken(null);
  expiry.value = { message, at };
}
