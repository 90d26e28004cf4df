/**
 * What requests cost, so that a connection looks at the clock in time: often
 * after dear ones, seldom after cheap ones.
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
 * How many steps of a slice a request is worth.
 *
 * @param request The request; executed, or begun.
 * @returns Steps, at least 1; after {@linkcode STEPS_A_LOOK} of them the
 *   connection looks at the clock. How long the others than READ, WRITE and
 *   CACHE take does not follow from their length.
 */
export function stepsOf({ command, length }: NbdRequest): number {
  switch (command) {
    case COMMAND_CACHE:
      return 1;
    case COMMAND_READ:
    case COMMAND_WRITE:
      // A whole number, which costs less to add up.
      return 1 + ((length / STEP_BYTES) | 0);
    default:
      return STEPS_A_LOOK;
  }
}
