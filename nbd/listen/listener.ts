/**
 * Opens the sockets that clients connect to.
 *
 * @module
 */

import { messageOf, VirstorError } from "../../errors.ts";
import type { Address } from "./address.ts";
import { listenOnPath, type SocketRights } from "./unix_listener.ts";

/** A listener and its address. */
export interface OpenListener {
  /** The listener. */
  readonly listener: Deno.Listener;
  /** The address, with the real port; `undefined` if it is not known. */
  readonly address: Address | undefined;
}

/**
 * Listens on an address. Replaces a Unix socket without a listener, which a
 * killed process left behind.
 *
 * @param address The address.
 * @param rights The permissions of a Unix socket.
 * @returns The listener; closing it removes a Unix socket, unless another
 *   process has put its own in that place.
 * @throws {VirstorError} `busy` if another server listens there, `exists` if
 *   the path leads to a file that is no socket, `invalid` if its name is too
 *   long, `io`.
 */
export async function openListener(
  address: Address,
  rights: SocketRights = {},
): Promise<OpenListener> {
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
        `Cannot listen on ${where}: the port is in use; choose another`,
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
