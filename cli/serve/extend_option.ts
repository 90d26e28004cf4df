/**
 * The options `--auto-extend...`: when a served pool gets further components by
 * itself.
 *
 * @module
 */

import { resolve } from "node:path";
import { messageOf, VirstorError } from "../../errors.ts";
import {
  type Invocation,
  numberOption,
  parseSize,
  UsageError,
} from "../terminal/mod.ts";

/** By default, the used percentage at which a pool is extended. */
const USED_PERCENT = 80;

/** When and how a pool is extended. */
export interface ExtendSettings {
  /** Bytes of each new component. */
  readonly size: number;
  /** The percentage of used chunks at which the pool is extended. */
  readonly usedPercent: number;
  /** The most bytes of all components together. */
  readonly max: number;
  /** The directory of the new components, absolute. */
  readonly directory: string;
}

/**
 * Reads the options.
 *
 * @param invocation The command line.
 * @returns The settings; undefined without `--auto-extend`.
 * @throws {UsageError} If an option is missing or has an invalid value.
 * @throws {VirstorError} `not-found` if there is no such directory.
 */
export function extendSettingsOf(
  invocation: Invocation,
): ExtendSettings | undefined {
  const hint = 'Try "virstor serve --help"';
  const text = (name: string) => invocation.value(`auto-extend${name}`);
  const [size, max, directory] = ["", "-max", "-in"].map(text);
  const at = "auto-extend-at";
  const usedPercent = numberOption(invocation, at, /^\d+%?$/, hint) ??
    USED_PERCENT;
  if (size === undefined && max === undefined && directory === undefined) {
    if (text("-at") === undefined) return undefined;
  }
  if (size === undefined || max === undefined || directory === undefined) {
    throw new UsageError(
      "Options --auto-extend, --auto-extend-max and --auto-extend-in belong " +
        "together",
      hint,
    );
  }
  if (usedPercent < 1 || usedPercent > 100) {
    throw new UsageError(`Option --${at} takes 1 to 100, not ${usedPercent}`);
  }
  const absolute = resolve(directory);
  checkDirectory(absolute);
  return {
    size: parseSize(size, "component size"),
    usedPercent,
    max: parseSize(max, "pool size"),
    directory: absolute,
  };
}

function checkDirectory(path: string): void {
  let reason = "it is no directory";
  try {
    if (Deno.statSync(path).isDirectory) return;
  } catch (error) {
    reason = error instanceof Deno.errors.NotFound
      ? "there is no such directory"
      : messageOf(error);
  }
  throw new VirstorError(
    "not-found",
    `Cannot make components in "${path}": ${reason}`,
  );
}
