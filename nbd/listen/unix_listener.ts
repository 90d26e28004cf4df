/**
 * Listens on Unix sockets.
 *
 * The listener makes a socket in a directory of its own that no other user may
 * enter, sets its permissions there, and then moves it to its place, where it
 * takes connections at once: no client finds the socket with other permissions,
 * or before it listens. At the end the listener removes the socket only if it
 * is still its own, and before it stops listening, so that no successor takes
 * the place for free meanwhile.
 *
 * @module
 */

import { lstatSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { messageOf, VirstorError } from "../../errors.ts";
import { checkSocketName, shortPath } from "./socket_path.ts";

/** The owner of a socket's file. */
export interface SocketOwner {
  /** The user's number; `null` leaves the user as it is. */
  readonly uid: number | null;
  /** The group's number; `null` leaves the group as it is. */
  readonly gid: number | null;
}

/** Permissions and owner of a Unix socket. */
export interface SocketRights {
  /** The permission bits; by default the umask decides. */
  readonly socketMode?: number;
  /** The owner and group; by default those of this process. */
  readonly socketOwner?: SocketOwner;
}

/** What identifies a file among all existing ones. */
interface Identity {
  readonly dev: bigint;
  readonly ino: bigint;
}

/** The file at a path. */
interface Found extends Identity {
  /** When its content, names or permissions changed, nanoseconds. */
  readonly changed: bigint;
  readonly isSocket: boolean;
}

/**
 * Listens on a path. Replaces a socket without a listener, which a killed
 * process left behind.
 *
 * @param path The path of the socket.
 * @param rights The permissions and owner of the socket.
 * @param what What messages put before the path; empty by default.
 * @returns The listener. Closing it removes the socket, unless another one has
 *   taken its place.
 * @throws {VirstorError} `busy` if another server listens there, `exists` if
 *   the path leads to a file that is no socket, `invalid` if its name is too
 *   long, `io`.
 */
export async function listenOnPath(
  path: string,
  rights: SocketRights = {},
  what = "",
): Promise<Deno.Listener> {
  checkSocketName(path);
  const place = `${what}"${path}"`;
  try {
    const stale = await findStale(path, place);
    return listen(resolve(path), rights, stale);
  } catch (error) {
    if (error instanceof VirstorError) throw error;
    if (error instanceof Deno.errors.AlreadyExists) throw busyError(place);
    throw new VirstorError(
      "io",
      `Cannot listen on ${place}: ${messageOf(error)}`,
      { cause: error },
    );
  }
}

function busyError(place: string): VirstorError {
  return new VirstorError(
    "busy",
    `Cannot listen on ${place}: another server listens there already`,
  );
}

/** @returns The socket at the path, if it has no listener. */
async function findStale(
  path: string,
  place: string,
): Promise<Found | undefined> {
  const found = identityOf(path);
  if (found === undefined) return undefined;
  if (!found.isSocket) {
    throw new VirstorError(
      "exists",
      `Cannot listen on ${place}: a file that is no socket exists there, ` +
        "use another path",
    );
  }
  if (await isListening(path, place)) throw busyError(place);
  return found;
}

async function isListening(path: string, place: string): Promise<boolean> {
  using short = shortPath(path);
  try {
    const { path } = short;
    const connection = await Deno.connect({ transport: "unix", path });
    connection.close();
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.ConnectionRefused) return false;
    // Another process removed it meanwhile.
    if (error instanceof Deno.errors.NotFound) return false;
    throw new VirstorError(
      "io",
      `Cannot listen on ${place}: a socket exists there, and connecting to ` +
        `it failed: ${messageOf(error)}; remove it, or use another path`,
      { cause: error },
    );
  }
}

/**
 * Synchronous, so that this process changes nothing in the directory meanwhile.
 */
function listen(
  path: string,
  { socketMode, socketOwner }: SocketRights,
  stale: Found | undefined,
): Deno.Listener {
  const directory = Deno.makeTempDirSync({
    dir: dirname(path),
    prefix: ".virstor-",
  });
  let listener: Deno.Listener | undefined;
  try {
    // The runtime removes the file of this name when it closes the socket, so
    // no other file may ever have the name.
    const name = crypto.randomUUID();
    const made = join(directory, name);
    {
      using short = shortPath(directory, name.length + 1);
      const path = join(short.path, name);
      listener = Deno.listen({ transport: "unix", path });
    }
    if (socketOwner !== undefined) {
      Deno.chownSync(made, socketOwner.uid, socketOwner.gid);
    }
    // After chown, since the system may clear permission bits there.
    if (socketMode !== undefined) Deno.chmodSync(made, socketMode);
    const own = identityOf(made);
    // A new file may have the inode number of a removed one.
    if (stale?.changed === identityOf(path)?.changed) remove(path, stale);
    putInPlace(made, path);
    return removing(listener, path, own);
  } catch (error) {
    listener?.close();
    throw error;
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
}

/**
 * Gives a socket its final name.
 *
 * @throws {Deno.errors.AlreadyExists} If a file of that name exists.
 */
function putInPlace(made: string, path: string): void {
  try {
    Deno.linkSync(made, path);
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists) throw error;
    // File systems may have no hard links, or not for files of other owners.
    if (identityOf(path) !== undefined) {
      throw new Deno.errors.AlreadyExists("Something is there");
    }
    Deno.renameSync(made, path);
  }
}

function removing(
  listener: Deno.Listener,
  path: string,
  own: Identity | undefined,
): Deno.Listener {
  let isClosed = false;
  return {
    addr: listener.addr,
    accept: () => listener.accept(),
    close() {
      if (isClosed) return;
      isClosed = true;
      // No other file has its inode number as long as the socket is open.
      remove(path, own);
      listener.close();
    },
  } as Deno.Listener;
}

/** Removes the file at a path, if it is the wanted one. */
function remove(path: string, wanted: Identity | undefined): void {
  try {
    const found = identityOf(path);
    if (found === undefined || found.dev !== wanted?.dev) return;
    if (found.ino !== wanted.ino) return;
    Deno.removeSync(path);
  } catch {
    // The socket stays, and the next listener replaces it.
  }
}

/**
 * Identifies the file at a path.
 *
 * @param path The path; a symbolic link is not followed.
 * @returns The identity; `undefined` if there is no file.
 */
function identityOf(path: string): Found | undefined {
  const found = lstatSync(path, { bigint: true, throwIfNoEntry: false });
  if (found === undefined) return undefined;
  const { dev, ino, ctimeNs } = found;
  return { dev, ino, changed: ctimeNs, isSocket: found.isSocket() };
}
