// A clock for unit tests: it moves only when told, with the timers set on it.

import type { World } from './world';

export function testClock(): { world: World; settle: () => Promise<void>; advance: (milliseconds: number) => Promise<void> } {
  let now = 0;
  let timers: { at: number; then: () => void }[] = [];
  const settle = async (): Promise<void> => {
    for (let i = 0; i < 20; i += 1) await Promise.resolve();
  };
  return {
    world: {
      now: () => now,
      random: () => 0.5,
      after: (milliseconds, then) => {
        const timer = { at: now + milliseconds, then };
        timers.push(timer);
        return () => {
          timers = timers.filter((it) => it !== timer);
        };
      },
    },
    settle,
    advance: async (milliseconds) => {
      now += milliseconds;
      const due = timers.filter((it) => it.at <= now);
      timers = timers.filter((it) => it.at > now);
      for (const timer of due) timer.then();
      await settle();
    },
  };
}
