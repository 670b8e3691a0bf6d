// Where the page is, in the URL's hash, so that every view can be linked.

import { signal } from '@preact/signals';

export type Route = { page: 'overview'; pool: string | null } | { page: 'incident'; id: string };

export function parseRoute(hash: string): Route {
  const [page, name] = hash.replace(/^#\/?/, '').split('/');
  const decoded = decode(name ?? '');
  if (page === 'incident' && decoded !== '') return { page, id: decoded };
  return { page: 'overview', pool: page === 'pool' && decoded !== '' ? decoded : null };
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

export function poolHref(name: string): string {
  return `#/pool/${encodeURIComponent(name)}`;
}

export const route = signal<Route>({ page: 'overview', pool: null });

export function startRoute(onPool: (name: string) => void): void {
  const read = (): void => {
    const next = parseRoute(location.hash);
    const moved = next.page !== route.value.page;
    route.value = next;
    if (next.page === 'overview' && next.pool !== null) onPool(next.pool);
    if (moved) scrollTo(0, 0);
  };
  addEventListener('hashchange', read);
  read();
}
