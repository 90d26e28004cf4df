/**
 * Turns of the event loop, and waits for promises.
 *
 * @module
 */

import { setImmediate } from "node:timers";

/** Those of the real clock, also while a simulation has its own. */
const { setTimeout, clearTimeout } = globalThis;

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
  seconds = 120,
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

/** Turns after which a lane has learnt of the end of its pool. */
const LANE_TURNS = 20;

/**
 * Waits for requests on lanes, which learn of the end of their pool late.
 *
 * @param requests Those that have not ended.
 */
export async function emptied(requests: ReadonlySet<unknown>): Promise<void> {
  for (let i = 0; i < LANE_TURNS && requests.size > 0; i++) await turn();
}
