/**
 * Where the HTTP servers of `serve` listen.
 *
 * @module
 */

import { VirstorError } from "../../errors.ts";
import {
  type Address,
  type OpenListener,
  openListener,
  type SocketRights,
} from "../../nbd/listen/mod.ts";

/**
 * Opens the listener of an HTTP server.
 *
 * @param address The address to listen on.
 * @param rights The permissions of a Unix socket.
 * @param option The option that chooses another port, for the error.
 * @returns The listener.
 * @throws {VirstorError} `busy`, `exists`, `invalid`, `io` if it cannot listen.
 */
export async function openHttpListener(
  address: Address,
  rights: SocketRights,
  option: string,
): Promise<OpenListener> {
  try {
    return await openListener(address, rights);
  } catch (error) {
    if ("path" in address || !(error instanceof VirstorError)) throw error;
    if (error.code !== "busy") throw error;
    const message = `${error.message} with ${option} HOST:PORT`;
    throw new VirstorError("busy", message, { cause: error });
  }
}

/**
 * Writes where a page is.
 *
 * @param address Where its server listens.
 * @param path The path of the page, from "/".
 * @returns The URL; for a Unix socket its path.
 */
export function urlOf(address: Address, path: string): string {
  if ("path" in address) return `${address.path} (a Unix socket)`;
  const { hostname, port } = address;
  const host = hostname.includes(":") ? `[${hostname}]` : hostname;
  return `http://${host}:${port}${path}`;
}
