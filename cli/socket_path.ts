/**
 * Paths of Unix sockets. The system takes short ones only, and the runtime
 * makes each absolute. So a socket deep down in directories is reached by way
 * of a symbolic link to its directory.
 *
 * @module
 */

import { basename, dirname, join, resolve } from "node:path";
import { inBytes, messageOf, VirstorError } from "../errors.ts";

/** What a path of a Unix socket may be long, bytes; fewer on BSD systems. */
const SOCKET_PATH_MAX = Deno.build.os === "linux" ? 107 : 103;
/** Where the link is if the usual directory for such things is deep down, too. */
const SHORT_DIRECTORY = "/tmp";
/** What the path of the link's directory may be long, bytes. */
const LINK_DIRECTORY_MAX = 50;

/** A path that the system takes, for as long as it is needed. */
export interface SocketPath extends Disposable {
  /** The path. */
  readonly path: string;
}

/**
 * Finds a path of a socket that the system takes.
 *
 * @param path Where the socket is, or is to be.
 * @returns The same place under a name that is short enough. It is there until
 *   it is disposed of; the socket stays.
 * @throws {VirstorError} `invalid` if the name of the socket alone is too long,
 *   `io` if a link is needed and cannot be made.
 */
export function socketPath(path: string): SocketPath {
  const absolute = resolve(path);
  if (isShort(absolute)) return { path: absolute, [Symbol.dispose]: () => {} };
  const name = basename(absolute);
  if (!isShort(join("/", "x".repeat(LINK_DIRECTORY_MAX), "l", name))) {
    throw new VirstorError(
      "invalid",
      `Cannot use socket "${path}": its name is ` +
        `${
          inBytes(bytesOf(name))
        } long, which is more than the system takes for a socket; use a shorter one`,
    );
  }
  let directory: string | undefined;
  try {
    directory = makeLinkDirectory();
    const link = join(directory, "l");
    Deno.symlinkSync(dirname(absolute), link);
    return {
      path: join(link, name),
      [Symbol.dispose]: () => remove(directory),
    };
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

function makeLinkDirectory(): string {
  const usual = Deno.makeTempDirSync({ prefix: "virstor-" });
  if (bytesOf(usual) <= LINK_DIRECTORY_MAX) return usual;
  remove(usual);
  return Deno.makeTempDirSync({ prefix: "virstor-", dir: SHORT_DIRECTORY });
}

/** Removes the link and its directory; what the link points to stays. */
function remove(directory: string | undefined): void {
  if (directory === undefined) return;
  try {
    Deno.removeSync(directory, { recursive: true });
  } catch {
    // It is small, empty, and where such things are removed now and then.
  }
}

function isShort(path: string): boolean {
  return bytesOf(path) <= SOCKET_PATH_MAX;
}

function bytesOf(text: string): number {
  return new TextEncoder().encode(text).length;
}
