/**
 * A file with the number of this process in it.
 *
 * @module
 */

import { messageOf, VirstorError } from "../errors.ts";

/**
 * Writes it, also over another one.
 *
 * @param path Where.
 * @throws {VirstorError} `io` if it cannot be written.
 */
export async function writePidFile(path: string): Promise<void> {
  try {
    await Deno.writeTextFile(path, `${Deno.pid}\n`);
  } catch (error) {
    throw new VirstorError(
      "io",
      `Cannot write the pid file "${path}": ${messageOf(error)}`,
      { cause: error },
    );
  }
}

/**
 * Removes it, unless another process has written its own there.
 *
 * @param path Where.
 */
export async function removePidFile(path: string): Promise<void> {
  try {
    if (await Deno.readTextFile(path) !== `${Deno.pid}\n`) return;
    await Deno.remove(path);
  } catch {
    // Somebody removed it first, or the directory: nothing depends on it.
  }
}
