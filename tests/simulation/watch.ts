/**
 * Watches a process for faults that a pool may hide from its callers: failed
 * assertions that are caught somewhere, and promises that are left behind.
 *
 * @module
 */

import { AssertionError } from "../../errors.ts";

/** Watches until it is disposed. */
export interface Watch extends Disposable {
  /**
   * Takes what was seen since the last call.
   *
   * @returns One line each; none if nothing was wrong.
   */
  take(): string[];
}

/**
 * Watches this process. Unhandled rejections do not end it meanwhile.
 *
 * @returns The watch.
 */
export function watchForFaults(): Watch {
  let seen: string[] = [];
  // A class looks its parent up when it is constructed.
  const parent = Object.getPrototypeOf(AssertionError);
  Object.setPrototypeOf(
    AssertionError,
    class extends Error {
      constructor(message: string) {
        super(message);
        seen.push(`An assertion failed: ${this.stack}`);
      }
    },
  );
  const onRejection = (event: PromiseRejectionEvent) => {
    event.preventDefault();
    const { reason } = event;
    const text = reason instanceof Error ? reason.stack : String(reason);
    seen.push(`A promise was left behind, and rejected: ${text}`);
  };
  globalThis.addEventListener("unhandledrejection", onRejection);
  return {
    take() {
      const taken = seen;
      seen = [];
      return taken;
    },
    [Symbol.dispose]() {
      Object.setPrototypeOf(AssertionError, parent);
      globalThis.removeEventListener("unhandledrejection", onRejection);
    },
  };
}
