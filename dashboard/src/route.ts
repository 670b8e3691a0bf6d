// Where the page is, in the URL's hash, so that every view can be linked: `#/incident/api-7?range=1h`.
// The path says which screen; the query what is chosen on it. A change of screen is a step in the
// browser's history, a change of the query is none.

import { computed, signal } from '@preact/signals';

type Route =
  | { page: 'overview'; pool: string | null }
  | { page: 'incident'; id: string }
  | { page: 'logs' | 'config' | 'audit' | 'about' };

export function parseRoute(hash: string): Route {
  const [page, name] = pathOf(hash).split('/');
  const decoded = decode(name ?? '');
  if (page === 'incident' && decoded !== '') return { page, id: decoded };
  if (page === 'logs' || page === 'config' || page === 'audit' || page === 'about') return { page };
  return { page: 'overview', pool: page === 'pool' && decoded !== '' ? decoded : null };
}

function pathOf(hash: string): string {
  return (hash.replace(/^#\/?/, '').split('?')[0] ?? '').replace(/\/$/, '');
}

function decode(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    return '';
  }
}

export function incidentHref(id: string): string {
  return `#/incident/${encodeURIComponent(id)}`;
}

export function auditHref(id: number): string {
  return `#/audit?id=${id}`;
}

export function poolHref(name: string): string {
  return `#/pool/${encodeURIComponent(name)}`;
}

export const route = signal<Route>({ page: 'overview', pool: null });

const query = signal('');
const chosen = computed(() => new URLSearchParams(query.value));

/** What the address says of a choice; null where it says nothing. */
export function param(name: string): string | null {
  return chosen.value.get(name);
}

/** Writes choices into the address; null takes one out. */
export function setParams(changes: Readonly<Record<string, string | null>>): void {
  const next = new URLSearchParams(query.peek());
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === '') next.delete(name);
    else next.set(name, value);
  }
  const text = next.toString();
  if (text === query.peek()) return;
  query.value = text;
  const path = location.hash.split('?')[0] || '#/';
  history.replaceState(null, '', text === '' ? path : `${path}?${text}`);
}

export function startRoute(onPool: (name: string) => void): void {
  const read = (): void => {
    const next = parseRoute(location.hash);
    const moved = next.page !== route.value.page;
    query.value = location.hash.split('?')[1] ?? '';
    route.value = next;
    if (next.page === 'overview' && next.pool !== null) onPool(next.pool);
    if (moved) scrollTo(0, 0);
  };
  addEventListener('hashchange', read);
  read();
}
