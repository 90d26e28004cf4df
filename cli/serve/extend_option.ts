/**
 * The options `--auto-extend...`: when a served pool gets further components by
 * itself.
 *
 * @module
 */

import { resolve } from "node:path";
import { inBytes, messageOf, VirstorError } from "../../errors.ts";
import { freebsdLayout, nativeLayout } from "../../pool/member/mod.ts";
import type { Pool } from "../../pool/mod.ts";
import type { ServeSettings } from "../control/mod.ts";
import {
  exactSize,
  type Invocation,
  numberOption,
  parseSize,
  UsageError,
} from "../terminal/mod.ts";

/** By default, the used percentage at which a pool is extended. */
const USED_PERCENT = 80;

/** When and how a pool is extended. */
export interface ExtendSettings {
  /** Bytes of each new component; 0 if the pool is not extended. */
  readonly size: number;
  /** The percentage of used chunks at which the pool is extended. */
  readonly usedPercent: number;
  /** The most bytes of all components together. */
  readonly max: number;
  /** The directory of the new components, absolute. */
  readonly directory: string;
}

/** The pool is not extended. */
export const NO_EXTENSION: ExtendSettings = {
  size: 0,
  usedPercent: USED_PERCENT,
  max: 0,
  directory: "",
};

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

/**
 * Merges settings of `virstor set` with those that hold.
 *
 * @param now The settings that hold.
 * @param wanted What replaces them.
 * @param pool The pool.
 * @returns The settings that are to hold; nothing has changed yet.
 * @throws {VirstorError} `invalid` if they do not fit together, `not-found` if
 *   there is no such directory.
 */
export function changedExtension(
  now: ExtendSettings,
  { autoExtend, autoExtendAt, autoExtendMax, autoExtendIn }: Partial<
    ServeSettings
  >,
  pool: Pool,
): ExtendSettings {
  const changed = {
    size: autoExtend ?? now.size,
    usedPercent: autoExtendAt ?? now.usedPercent,
    max: autoExtendMax ?? now.max,
    directory: autoExtendIn ?? now.directory,
  };
  const { size, usedPercent, max, directory } = changed;
  const isSound = [size, max].every(Number.isSafeInteger) &&
    usedPercent >= 1 && usedPercent <= 100;
  if (!isSound || (size > 0 && (max === 0 || directory === ""))) {
    throw new VirstorError(
      "invalid",
      "Cannot set auto-extend: sizes are whole numbers, auto-extend-at is 1 " +
        "to 100, and auto-extend needs auto-extend-max and auto-extend-in, too",
    );
  }
  if (size > 0) checkDirectory(directory);
  checkComponentSize(pool, changed);
  return changed;
}

/**
 * Refuses an extension by files that are too small to be components.
 *
 * @param pool The pool that is extended.
 * @param settings How it is extended.
 * @throws {VirstorError} `invalid`.
 */
export function checkComponentSize(
  pool: Pick<Pool, "status">,
  { size }: ExtendSettings,
): void {
  const { name, format, chunkSize } = pool.status();
  const layoutOf = format === "native" ? nativeLayout : freebsdLayout;
  const { sizeMin } = layoutOf(chunkSize);
  if (size === 0 || size >= sizeMin) return;
  throw new VirstorError(
    "invalid",
    `Cannot extend pool "${name}" by components of ${inBytes(size)} ` +
      `(auto-extend): a component of this pool has at least ` +
      exactSize(sizeMin),
  );
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
