/**
 * The rate of an evacuation that is under way, kept beside the registry: a pool
 * that is served again after a crash, or a stop, goes on at the rate that
 * `remove --rate` gave. The pool itself knows only that it goes on.
 *
 * @module
 */

import { messageOf } from "../../errors.ts";
import type { EvacuationStatus } from "../../pool/change/mod.ts";
import { formatSize, printNotices } from "../terminal/mod.ts";
import { prepareRegistry } from "./registry.ts";
import { replaceFile } from "./registry_file.ts";
import { registryPath } from "./state_directory.ts";

/**
 * Keeps a rate, durably. That it cannot be kept fails nothing: the usual one
 * applies then.
 *
 * @param stateDirectory The state directory.
 * @param name The pool's name.
 * @param bytesPerSecond The highest rate, bytes a second; 0, none.
 * @returns Done when it is durable.
 */
export async function rememberRate(
  stateDirectory: string,
  name: string,
  bytesPerSecond: number,
): Promise<void> {
  try {
    await prepareRegistry(stateDirectory);
    const path = ratePath(stateDirectory, name);
    await replaceFile(path, `${bytesPerSecond}\n`);
  } catch (error) {
    printNotices([
      `The rate of the evacuation of pool "${name}" is forgotten after a ` +
      `stop: ${messageOf(error)}`,
    ]);
  }
}

/**
 * What was kept.
 *
 * @param stateDirectory The state directory.
 * @param name The pool's name.
 * @returns Bytes a second; undefined if nothing was kept.
 */
export async function recallRate(
  stateDirectory: string,
  name: string,
): Promise<number | undefined> {
  try {
    const text = await Deno.readTextFile(ratePath(stateDirectory, name));
    return /^\d{1,16}\n$/.test(text) ? Number(text) : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Forgets what was kept: there is no evacuation, or one without a rate.
 *
 * @param stateDirectory The state directory.
 * @param name The pool's name.
 * @returns Done when it is forgotten.
 */
export async function forgetRate(
  stateDirectory: string,
  name: string,
): Promise<void> {
  try {
    await Deno.remove(ratePath(stateDirectory, name));
  } catch {
    // There is none.
  }
}

/**
 * Says that an evacuation goes on after an open.
 *
 * @param evacuation The evacuation.
 * @param bytesPerSecond Its highest rate; 0, none.
 * @param isKept Whether it went at this rate before.
 * @returns A sentence.
 */
export function resumedText(
  { components }: EvacuationStatus,
  bytesPerSecond: number,
  isKept: boolean,
): string {
  const rate = bytesPerSecond === 0
    ? "as fast as it can"
    : `at ${formatSize(bytesPerSecond)} a second at most`;
  return `Goes on with the evacuation of ${components.join(", ")}, ${rate}` +
    (isKept ? ", as before" : "");
}

function ratePath(stateDirectory: string, name: string): string {
  return registryPath(stateDirectory, name).replace(/\.json$/, ".rate");
}
