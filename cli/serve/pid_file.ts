/**
 * The pid file of a server.
 *
 * @module
 */

import { lstatSync } from "node:fs";
import { messageOf, VirstorError } from "../../errors.ts";

/** Bytes of the largest file that may be a pid file. */
const SIZE_MAX = 32;

/** A pid file that this process has written. */
export class PidFile {
  readonly #path: string;
  readonly #text = `${Deno.pid}\n`;
  readonly #state: string;

  /**
   * Writes the file, also over an existing pid file.
   *
   * @param path The file's path.
   * @throws {VirstorError} `exists` if it holds anything else; `io` if the file
   *   cannot be written.
   */
  constructor(path: string) {
    this.#path = path;
    checkPidFile(path);
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

/**
 * Checks that a pid file may be written, before anything else happens: that
 * there is no file yet, or an earlier pid file.
 *
 * @param path The file's path.
 * @throws {VirstorError} `exists` if it is no file (opening a FIFO would wait
 *   for a reader), or if it holds anything but a process id.
 */
export function checkPidFile(path: string): void {
  const found = contentOf(path);
  if (found === undefined || /^\s*\d*\s*$/.test(found)) return;
  throw new VirstorError(
    "exists",
    `Cannot write the pid file "${path}": something else than a process id is ` +
      "there, use another path",
  );
}

/** What a small file holds, "?" for anything else; undefined if unknown. */
function contentOf(path: string): string | undefined {
  try {
    const { isFile, size } = Deno.statSync(path);
    return isFile && size <= SIZE_MAX ? Deno.readTextFileSync(path) : "?";
  } catch {
    // It does not exist yet, or writing it will tell.
    return undefined;
  }
}

/** The identity of a file, and when it was written. */
function stateOf(path: string): string {
  const { dev, ino, mtimeNs } = lstatSync(path, { bigint: true });
  return `${dev} ${ino} ${mtimeNs}`;
}
