/**
 * The pid file of a server.
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
   * Writes the file, also over an existing one.
   *
   * @param path The file's path.
   * @throws {VirstorError} `io` if the file cannot be written.
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
   * Removes the file, unless another process has written its own there; that
   * process may have the same number, in a container of its own.
   */
  remove(): void {
    const path = this.#path;
    try {
      if (stateOf(path) !== this.#state) return;
      if (Deno.readTextFileSync(path) === this.#text) Deno.removeSync(path);
    } catch {
      // Another process removed it first, or the directory: nothing depends on
      // it.
    }
  }
}

/** The identity of a file, and when it was written. */
function stateOf(path: string): string {
  const { dev, ino, mtimeNs } = lstatSync(path, { bigint: true });
  return `${dev} ${ino} ${mtimeNs}`;
}
