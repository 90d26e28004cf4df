/**
 * Options whose values are numbers.
 *
 * @module
 */

import type { Invocation } from "./command.ts";
import { UsageError } from "./usage_error.ts";

/**
 * Reads the value of an option as a number.
 *
 * @param invocation The command line.
 * @param option The option's long name.
 * @param pattern What the value must look like.
 * @param hint What to do if it does not.
 * @param range Which numbers the option takes, if not all.
 * @returns The number; `undefined` without the option.
 * @throws {UsageError} If the value is no such number.
 */
export function numberOption(
  invocation: Invocation,
  option: string,
  pattern: RegExp,
  hint: string,
  range = "",
): number | undefined {
  const text = invocation.value(option);
  if (text === undefined) return undefined;
  if (range !== "" && /^\d+$/.test(text) && !pattern.test(text)) {
    throw new UsageError(
      `Option --${option} takes ${range}, not ${text}`,
      hint,
    );
  }
  if (!pattern.test(text) || Number(text) > Number.MAX_SAFE_INTEGER) {
    throw new UsageError(
      `Option --${option} needs a number, not "${text}"`,
      hint,
    );
  }
  return Number(text);
}
