// Whether the server has another page by now than the one that is shown.

import { signal } from '@preact/signals';
import { connection } from './store';

/** The server's page asks for another script than this one is. */
export const isOutdated = signal(false);

const EVERY_MS = 60_000;

/** The script that a page asks for; its name has a hash of its content. */
export function scriptOf(html: string): string | null {
  return /<script[^>]*\ssrc="([^"]+)"/.exec(html)?.[1] ?? null;
}

async function look(own: string): Promise<void> {
  try {
    const response = await fetch('./', { cache: 'no-cache', headers: { accept: 'text/html' }, signal: AbortSignal.timeout(4_000) });
    if (!response.ok) return;
    const theirs = scriptOf(await response.text());
    if (theirs !== null) isOutdated.value = theirs !== own;
  } catch {
    // Whoever cannot be reached has nothing new to tell.
  }
}

/** Looks now and then, and at once when a lost connection is there again: an update is when it was lost. */
export function startVersion(): void {
  const own = document.querySelector('script[src]')?.getAttribute('src');
  if (own === null || own === undefined || import.meta.env.DEV) return;
  let wasLost = false;
  connection.subscribe(({ kind }) => {
    if (wasLost && kind === 'live') void look(own);
    wasLost = kind === 'lost';
  });
  window.setInterval(() => void look(own), EVERY_MS);
}
