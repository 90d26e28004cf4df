/**
 * Paths of Unix sockets. The system takes short paths only, and the runtime
 * makes each path absolute. So virstor reaches a socket deep down in
 * directories through a symbolic link.
 *
 * @module
 */

import { inBytes, messageOf, VirstorError } from "../../errors.ts";
import { basename, join, resolve } from "node:path";

/** The longest path of a Unix socket, bytes; shorter on BSD systems. */
const SOCKET_PATH_MAX = Deno.build.os === "linux" ? 107 : 103;
/** The directory of the link if the default temporary directory is too deep. */
const SHORT_DIRECTORY = "/tmp";

/** A path that is short enough, valid until it is disposed of. */
export interface ShortPath extends Disposable {
  /** The path. */
  readonly path: string;
}

/**
 * Finds a short path to a socket, or to the directory of a socket.
 *
 * @param path The path of the socket or directory.
 * @param more Bytes that the caller appends to the path; 0 by default.
 * @returns A path that is short enough, also with the appended bytes. Disposing
 *   of it removes the link, and leaves the socket alone.
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
 * Refuses a socket whose file name alone is longer than the path of a socket
 * may be: no client could connect to it.
 *
 * @param path The path of the socket.
 * @throws {VirstorError} `invalid` if the name is too long.
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
    // The directory holds one link, and the system cleans temporary files up.
  }
}

function bytesOf(text: string): number {
  return new TextEncoder().encode(text).length;
}
