/**
 * Turns of the event loop that take no time: the simulation takes millions of
 * them.
 *
 * @module
 */

import { clearImmediate, setImmediate } from "node:timers";

type Immediate = ReturnType<typeof setImmediate>;

/**
 * From now on timers without a delay come with the next turn of the event
 * loop, in order, instead of a millisecond or two later.
 *
 * @returns Ends it.
 */
export function hurryTimers(): Disposable {
  const { setTimeout: slowly, clearTimeout: clearSlowly } = globalThis;
  const waiting = new Map<unknown, Immediate>();
  let last = 0;
  globalThis.setTimeout = ((callback: () => void, delay = 0) => {
    if (delay > 0) return slowly(callback, delay);
    // Numbers of real timers are above 0.
    const id = --last;
    const immediate = setImmediate(() => {
      waiting.delete(id);
      callback();
    });
    waiting.set(id, immediate);
    return id;
  }) as typeof setTimeout;
  globalThis.clearTimeout = (id) => {
    const immediate = waiting.get(id);
    if (immediate === undefined) return clearSlowly(id);
    clearImmediate(immediate);
    waiting.delete(id);
  };
  return {
    [Symbol.dispose]() {
      globalThis.setTimeout = slowly;
      globalThis.clearTimeout = clearSlowly;
    },
  };
}

/**
 * Lets everything have a turn that is due.
 *
 * @returns Done when it has.
 */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(() => resolve()));
}

/**
 * Waits for something that may never come, and must.
 *
 * @param complaint What to say if it does not come.
 * @param promise The wait.
 * @param seconds How long to wait.
 * @returns What it gives.
 * @throws {Error} If it takes longer; whatever the promise rejects with.
 */
export async function within<T>(
  complaint: () => string,
  promise: Promise<T>,
  seconds = 20,
): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const tooLate = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(complaint())),
      seconds * 1000,
    );
  });
  try {
    return await Promise.race([promise, tooLate]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Waits for the end of all of several things, also if one fails.
 *
 * @param all What to wait for.
 * @throws {unknown} What the first that failed did.
 */
export async function allDone(all: readonly Promise<void>[]): Promise<void> {
  for (const result of await Promise.allSettled(all)) {
    if (result.status === "rejected") throw result.reason;
  }
}
