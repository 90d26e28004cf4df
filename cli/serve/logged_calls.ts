/**
 * Runs the functions that carry out the calls of a control socket.
 *
 * @module
 */

import type { ControlHandlers } from "../control/mod.ts";
import { log } from "../terminal/mod.ts";

/**
 * Adds a log line to every call, at level `debug`.
 *
 * @param pool The pool that is called, by its name at the moment of a call.
 * @param handlers The functions.
 * @returns Functions that do the same, and write the line first.
 */
export function loggedCalls(
  pool: { readonly name: string },
  handlers: ControlHandlers,
): ControlHandlers {
  const entries = Object.entries(handlers).map(([call, handler]) => [
    call,
    (request: never) => {
      log("control", `Asked for "${call}"`, { pool: pool.name });
      return runHandler(handler, request);
    },
  ]);
  return Object.fromEntries(entries);
}

/**
 * Runs one of the functions with a request of its call.
 *
 * @param handler The function.
 * @param request The request.
 * @param onChanged Called once the change is done.
 * @returns The answer.
 */
export function runHandler(
  handler: (request: never, onChanged?: () => void) => Promise<unknown>,
  request: never,
  onChanged?: () => void,
): Promise<unknown> {
  return handler(request, onChanged);
}
