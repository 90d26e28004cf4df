/**
 * Listens on Unix sockets.
 *
 * A socket is made in a directory of its own that no other user may enter, gets
 * its rights there, and is then put in its place, where it takes connections
 * at once: no client finds it with other rights, or before it listens. At the
 * end the listener removes it only if what is in its place is still this socket, and before
 * it stops to listen, so that no successor takes the place for free meanwhile.
 *
 * @module
 */

import { lstatSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { messageOf, VirstorError } from "../../errors.ts";
import type { Owner } from "./owner.ts";
import { checkSocketName, shortPath } from "../control/mod.ts";

/** Rights of a Unix socket; those that are absent follow the umask. */
export interface SocketRights {
  /** Its permissions. */
  readonly socketMode?: number;
  /** Its owner and group. */
  readonly socketOwner?: Owner;
}

/** What tells one file from all others that are there now. */
interface Identity {
  readonly dev: bigint;
  readonly ino: bigint;
}

/** What is at a path. */
interface Found extends Identity {
  /** When it, its names or its rights changed, nanoseconds. */
  readonly changed: bigint;
  readonly isSocket: boolean;
}

/**
 * Listens on a path. A socket without a listener, left behind by a process
 * that was killed, is replaced.
 *
 * @param path Where.
 * @param rights Those of the socket.
 * @param what What to call it in messages.
 * @returns What listens. Closing it removes the socket, unless another one has
 *   taken its place.
 * @throws {VirstorError} `busy` if another server listens there, `exists` if
 *   the path is of something else than a socket, `invalid` if its name is too
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

/** @returns The socket that is there, if it has no listener. */
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
    // It was removed meanwhile.
    if (error instanceof Deno.errors.NotFound) return false;
    throw new VirstorError(
      "io",
      `Cannot listen on ${place}: a socket exists there, and connecting to ` +
        `it failed: ${messageOf(error)}; remove it, or use another path`,
      { cause: error },
    );
  }
}

/** Nothing here waits: what is seen of the directory holds to the end. */
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
    // The runtime removes what has this name when it closes the socket: it must
    // be a name that nothing else ever has.
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
    // After that: the system may take rights away as the owner changes.
    if (socketMode !== undefined) Deno.chmodSync(made, socketMode);
    const own = identityOf(made);
    // A successor may have got the number of one that was removed.
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
 * Gives a socket its name.
 *
 * @throws {Deno.errors.AlreadyExists} If something has it.
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
      // Nothing else has its number as long as it listens.
      remove(path, own);
      listener.close();
    },
  } as Deno.Listener;
}

/** Removes what is at a path, if it is what is wanted. */
function remove(path: string, wanted: Identity | undefined): void {
  try {
    const found = identityOf(path);
    if (found === undefined || found.dev !== wanted?.dev) return;
    if (found.ino !== wanted.ino) return;
    Deno.removeSync(path);
  } catch {
    // It stays, and the next listener replaces it.
  }
}

/**
 * What is at a path.
 *
 * @param path The path; a link is not followed.
 * @returns Nothing if nothing is there.
 */
function identityOf(path: string): Found | undefined {
  const found = lstatSync(path, { bigint: true, throwIfNoEntry: false });
  if (found === undefined) return undefined;
  const { dev, ino, ctimeNs } = found;
  return { dev, ino, changed: ctimeNs, isSocket: found.isSocket() };
}
