/**
 * Opens what clients connect to.
 *
 * @module
 */

import { messageOf, VirstorError } from "../errors.ts";
import type { Address } from "./address.ts";
import { shortSocketPath } from "./state_directory.ts";

/**
 * Listens on an address. A Unix socket that nobody listens on any more, left
 * behind by a process that was killed, is replaced.
 *
 * @param address The address.
 * @returns What listens; closing it removes a Unix socket.
 * @throws {VirstorError} `busy` if somebody else listens there, `exists` if
 *   the path is of something else than a socket, `io`.
 */
export async function openListener(address: Address): Promise<Deno.Listener> {
  if ("path" in address) return await listenOnPath(address.path);
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

async function listenOnPath(given: string): Promise<Deno.Listener> {
  const path = shortSocketPath(given, "use a shorter one");
  await removeStale(path);
  try {
    return Deno.listen({ transport: "unix", path });
  } catch (error) {
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
