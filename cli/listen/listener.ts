/**
 * Opens what clients connect to.
 *
 * @module
 */

import { messageOf, VirstorError } from "../../errors.ts";
import type { Address } from "./address.ts";
import { listenOnPath, type SocketRights } from "./unix_listener.ts";

/** Something that listens. */
export interface Door {
  /** It. */
  readonly listener: Deno.Listener;
  /** Where, with the real port; `undefined` if that is not known. */
  readonly address: Address | undefined;
}

/**
 * Listens on an address. A Unix socket that nobody listens on any more, left
 * behind by a process that was killed, is replaced.
 *
 * @param address The address.
 * @param rights Those of a Unix socket.
 * @returns What listens; closing it removes a Unix socket that is still its own.
 * @throws {VirstorError} `busy` if another server listens there, `exists` if
 *   the path is of something else than a socket, `invalid` if its name is too
 *   long, `io`.
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
