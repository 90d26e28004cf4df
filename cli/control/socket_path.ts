/**
 * Paths of Unix sockets. The system takes short ones only, and the runtime
 * makes each absolute. So a socket deep down in directories is reached by way
 * of a symbolic link.
 *
 * @module
 */

import { inBytes, messageOf, VirstorError } from "../../errors.ts";
import { basename, join, resolve } from "node:path";

/** What a path of a Unix socket may be long, bytes; fewer on BSD systems. */
const SOCKET_PATH_MAX = Deno.build.os === "linux" ? 107 : 103;
/** Where the link is if the usual directory for such things is deep down, too. */
const SHORT_DIRECTORY = "/tmp";

/** A path that the system takes, for as long as it is needed. */
export interface ShortPath extends Disposable {
  /** The path. */
  readonly path: string;
}

/**
 * Finds a short path to a socket, or to the directory of one.
 *
 * @param path Where it is.
 * @param more What comes behind it, bytes.
 * @returns The same place under a name that is short enough, together with what
 *   comes behind it. It is there until it is disposed of; what it leads to
 *   stays.
 * @throws {VirstorError} `io` if a link is needed and cannot be made.
 */
export function shortPath(path: string, more = 0): ShortPath {
  const absolute = resolve(path);
  const isShort = (one: string) => bytesOf(one) + more <= SOCKET_PATH_MAX;
  if (isShort(absolute)) return { path: absolute, [Symbol.dispose]: () => {} };
  let directory: string | undefined;
  try {
    directory = Deno.makeTempDirSync({ prefix: "virstor-" });
    if (!isShort(join(directory, "l"))) {
      remove(directory);
      const dir = SHORT_DIRECTORY;
      directory = Deno.makeTempDirSync({ prefix: "virstor-", dir });
    }
    const link = join(directory, "l");
    Deno.symlinkSync(absolute, link);
    return { path: link, [Symbol.dispose]: () => remove(directory) };
  } catch (error) {
    remove(directory);
    throw new VirstorError(
      "io",
      `Cannot use socket "${path}": its absolute path is ` +
        `${inBytes(bytesOf(absolute))} long, the system takes ` +
        `${SOCKET_PATH_MAX}, and no link can be made: ${messageOf(error)}`,
      { cause: error },
    );
  }
}

/**
 * Refuses a socket whose name alone is longer than a path of a socket may be: no
 * client could use it.
 *
 * @param path Where it is to be.
 * @throws {VirstorError} `invalid` if so.
 */
export function checkSocketName(path: string): void {
  const length = bytesOf(basename(resolve(path)));
  if (length <= SOCKET_PATH_MAX) return;
  throw new VirstorError(
    "invalid",
    `Cannot use socket "${path}": its name is ${inBytes(length)} long, the ` +
      `system takes ${SOCKET_PATH_MAX}; use a shorter one`,
  );
}

/** Removes the link and its directory; what the link leads to stays. */
function remove(directory: string | undefined): void {
  if (directory === undefined) return;
  try {
    Deno.removeSync(directory, { recursive: true });
  } catch {
    // It is small, empty, and where such things are removed now and then.
  }
}

function bytesOf(text: string): number {
  return new TextEncoder().encode(text).length;
}
