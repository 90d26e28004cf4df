/**
 * A file with the number of this process in it.
 *
 * @module
 */

import { lstatSync } from "node:fs";
import { messageOf, VirstorError } from "../../errors.ts";

/** A pid file that this process has written. */
export class PidFile {
  readonly #path: string;
  readonly #text = `${Deno.pid}\n`;
  readonly #state: string;

  /**
   * Writes it, also over another one.
   *
   * @param path Where.
   * @throws {VirstorError} `io` if it cannot be written.
   */
  constructor(path: string) {
    this.#path = path;
    try {
      Deno.writeTextFileSync(path, this.#text);
      this.#state = stateOf(path);
    } catch (error) {
      throw new VirstorError(
        "io",
        `Cannot write the pid file "${path}": ${messageOf(error)}`,
        { cause: error },
      );
    }
  }

  /**
   * Removes it, unless another process has written its own there. That one may
   * have the same number, in a container of its own.
   */
  remove(): void {
    const path = this.#path;
    try {
      if (stateOf(path) !== this.#state) return;
      if (Deno.readTextFileSync(path) === this.#text) Deno.removeSync(path);
    } catch {
      // Another process removed it first, or the directory: nothing depends on it.
    }
  }
}

/** Which file it is, and when it was written. */
function stateOf(path: string): string {
  const { dev, ino, mtimeNs } = lstatSync(path, { bigint: true });
  return `${dev} ${ino} ${mtimeNs}`;
}
