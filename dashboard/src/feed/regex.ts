// A regular expression that cannot freeze the page: it is tried in another thread, within a time limit.

/** For one batch of lines; an expression that takes longer is given up. */
const LIMIT_MS = 1_000;
/** What a thread may take to start on a busy machine. */
const START_MS = 10_000;

export interface Matcher {
  /** Which of the lines match; null when the expression was given up. */
  match(texts: readonly string[]): Promise<readonly boolean[] | null>;
  close(): void;
}

/** What is wrong with an expression, in few words; null if nothing is. */
export function syntaxProblem(source: string): string | null {
  try {
    void new RegExp(source, 'i');
    return null;
  } catch (error) {
    return error instanceof Error ? error.message.replace(/^Invalid regular expression: /, '') : 'not a regular expression';
  }
}

export function openMatcher(source: string): Matcher {
  const worker = new Worker(new URL('./regex.worker.ts', import.meta.url), { type: 'module' });
  const answer = (message: unknown, limit: number): Promise<unknown> =>
    new Promise((resolve) => {
      const timer = self.setTimeout(() => {
        worker.terminate();
        resolve(null);
      }, limit);
      worker.onmessage = (event: MessageEvent<unknown>) => {
        self.clearTimeout(timer);
        resolve(event.data);
      };
      worker.onerror = () => {
        self.clearTimeout(timer);
        resolve(null);
      };
      worker.postMessage(message);
    });
  const ready = answer({ source }, START_MS);
  return {
    match: async (texts) => {
      if ((await ready) === null) return null;
      return (await answer({ texts }, LIMIT_MS)) as boolean[] | null;
    },
    close: () => worker.terminate(),
  };
}
