/**
 * The rate of an unfinished evacuation, kept beside the registry: when a pool
 * is served again after a crash or a stop, the evacuation continues at the rate
 * that `remove --rate` gave. The pool itself does not store the rate.
 *
 * @module
 */

import { messageOf } from "../../errors.ts";
import type { EvacuationStatus } from "../../pool/change/mod.ts";
import { formatSize, printNotices } from "../terminal/mod.ts";
import { parentPath } from "./paths.ts";
import { prepareRegistry } from "./registry.ts";
import { replaceFile, whileLocked } from "./registry_file.ts";
import { registryPath } from "./state_directory.ts";

/**
 * Stores a rate, durably. A failure becomes a notice: the default rate applies
 * then.
 *
 * @param stateDirectory The state directory.
 * @param name The pool's name.
 * @param bytesPerSecond The limit, bytes a second; 0 means no limit.
 * @returns A promise that resolves when the rate is durable.
 */
export async function rememberRate(
  stateDirectory: string,
  name: string,
  bytesPerSecond: number,
): Promise<void> {
  try {
    await prepareRegistry(stateDirectory);
    const path = ratePath(stateDirectory, name);
    const store = () => replaceFile(path, `${bytesPerSecond}\n`);
    await whileLocked(parentPath(path), store);
  } catch (error) {
    printNotices([
      `Cannot keep the rate of the evacuation of pool "${name}": ` +
      `${messageOf(error)}; after a stop the default rate applies`,
    ]);
  }
}

/**
 * Reads the stored rate.
 *
 * @param stateDirectory The state directory.
 * @param name The pool's name.
 * @returns Bytes a second; `undefined` if no rate is stored.
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
 * Removes the stored rate: there is no evacuation, or it has no rate.
 *
 * @param stateDirectory The state directory.
 * @param name The pool's name.
 * @returns A promise that resolves when the rate is removed.
 */
export async function forgetRate(
  stateDirectory: string,
  name: string,
): Promise<void> {
  try {
    await Deno.remove(ratePath(stateDirectory, name));
  } catch {
    // No rate is stored.
  }
}

/**
 * Formats the event that an evacuation continues after an open.
 *
 * @param evacuation The evacuation.
 * @param bytesPerSecond The limit, bytes a second; 0 means no limit.
 * @param isKept Whether the rate is the stored one.
 * @returns A sentence.
 */
export function resumedText(
  { components }: EvacuationStatus,
  bytesPerSecond: number,
  isKept: boolean,
): string {
  const rate = bytesPerSecond === 0
    ? "without a limit"
    : `at most ${formatSize(bytesPerSecond)} a second`;
  return `Continuing the evacuation of ${components.join(", ")}, ${rate}` +
    (isKept ? ", as before" : "");
}

function ratePath(stateDirectory: string, name: string): string {
  return registryPath(stateDirectory, name).replace(/\.json$/, ".rate");
}
