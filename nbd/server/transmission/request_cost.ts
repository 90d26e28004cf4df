/**
 * Estimates the cost of requests. A connection reads the clock often after
 * expensive requests and seldom after cheap ones.
 *
 * @module
 */

import {
  COMMAND_CACHE,
  COMMAND_READ,
  COMMAND_WRITE,
  type NbdRequest,
  STEP_BYTES,
  STEPS_A_LOOK,
} from "../../wire/mod.ts";

/**
 * Estimates the cost of a request in steps of a slice.
 *
 * @param request The request, after its start.
 * @returns Steps, at least 1. After {@linkcode STEPS_A_LOOK} of them the
 *   connection reads the clock. It always does after a command other than READ,
 *   WRITE and CACHE, whose duration its length does not predict.
 */
export function stepsOf({ command, length }: NbdRequest): number {
  switch (command) {
    case COMMAND_CACHE:
      return 1;
    case COMMAND_READ:
    case COMMAND_WRITE:
      // Integers are cheaper to add up.
      return 1 + ((length / STEP_BYTES) | 0);
    default:
      return STEPS_A_LOOK;
  }
}
