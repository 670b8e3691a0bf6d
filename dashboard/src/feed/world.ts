// The outside world as far as waiting goes, passed in so that tests hold the clock.

export interface World {
  now(): number;
  random(): number;
  /** Calls back after the wait; the answer cancels it. */
  after(milliseconds: number, then: () => void): () => void;
}

export const browser: World = {
  now: () => Date.now(),
  random: () => Math.random(),
  after: (milliseconds, then) => {
    const id = window.setTimeout(then, milliseconds);
    return () => window.clearTimeout(id);
  },
};

/** The address of a WebSocket of the sidecar, at the server that the page came from. */
export function wsUrl(path: string, query: URLSearchParams | string): string {
  const { protocol, host } = location;
  return `${protocol === 'https:' ? 'wss' : 'ws'}://${host}/api${path}?${query}`;
}
