/**
 * Opens what clients connect to.
 *
 * @module
 */

import { messageOf, VirstorError } from "../errors.ts";
import type { Address } from "./address.ts";
import type { Owner } from "./owner.ts";
import { shortSocketPath } from "./state_directory.ts";

/** Something that listens. */
export interface Door {
  /** It. */
  readonly listener: Deno.Listener;
  /** Where, with the real port; `undefined` if that is not known. */
  readonly address: Address | undefined;
}

/** Who may use a Unix socket; where nothing is said, the umask decides. */
export interface SocketRights {
  /** Its permissions. */
  readonly socketMode?: number;
  /** Who owns it. */
  readonly socketOwner?: Owner;
}

/**
 * Listens on an address. A Unix socket that nobody listens on any more, left
 * behind by a process that was killed, is replaced.
 *
 * @param address The address.
 * @param rights Those of a Unix socket.
 * @returns What listens; closing it removes a Unix socket.
 * @throws {VirstorError} `busy` if somebody else listens there, `exists` if
 *   the path is of something else than a socket, `io`.
 */
export async function openDoor(
  address: Address,
  rights: SocketRights = {},
): Promise<Door> {
  if ("path" in address) {
    return { listener: await listenOnPath(address.path, rights), address };
  }
  const listener = listenOnPort(address);
  const { port } = listener.addr;
  return { listener, address: { ...address, port } };
}

function listenOnPort(
  address: { readonly hostname: string; readonly port: number },
): Deno.TcpListener {
  const { hostname, port } = address;
  const where = `${
    hostname.includes(":") ? `[${hostname}]` : hostname
  }:${port}`;
  try {
    return Deno.listen({ hostname, port });
  } catch (error) {
    if (error instanceof Deno.errors.AddrInUse) {
      throw new VirstorError(
        "busy",
        `Cannot listen on ${where}: the port is in use; choose another ` +
          "with --listen HOST:PORT",
        { cause: error },
      );
    }
    throw new VirstorError(
      "io",
      `Cannot listen on ${where}: ${messageOf(error)}`,
      { cause: error },
    );
  }
}

async function listenOnPath(
  given: string,
  { socketMode, socketOwner }: SocketRights,
): Promise<Deno.Listener> {
  const path = shortSocketPath(given, "use a shorter one");
  await removeStale(path);
  let listener: Deno.Listener | undefined;
  try {
    listener = Deno.listen({ transport: "unix", path });
    // At once, before anybody else has a turn to connect.
    if (socketMode !== undefined) Deno.chmodSync(path, socketMode);
    if (socketOwner !== undefined) {
      Deno.chownSync(path, socketOwner.uid, socketOwner.gid);
    }
    return listener;
  } catch (error) {
    listener?.close();
    throw new VirstorError(
      "io",
      `Cannot listen on "${path}": ${messageOf(error)}`,
      { cause: error },
    );
  }
}

async function removeStale(path: string): Promise<void> {
  try {
    const { isSocket } = await Deno.lstat(path);
    if (isSocket !== true) {
      throw new VirstorError(
        "exists",
        `Cannot listen on "${path}": there is a file already, and it is no ` +
          "socket",
      );
    }
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    throw error;
  }
  if (await isListening(path)) {
    throw new VirstorError(
      "busy",
      `Cannot listen on "${path}": somebody listens there already`,
    );
  }
  await Deno.remove(path);
}

async function isListening(path: string): Promise<boolean> {
  try {
    const connection = await Deno.connect({ transport: "unix", path });
    connection.close();
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.ConnectionRefused) return false;
    throw error;
  }
}
