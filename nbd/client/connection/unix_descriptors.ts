/**
 * The descriptors of connections to Unix sockets, for native calls.
 *
 * The runtime does not tell which descriptor a connection has. But one connect
 * runs at a time, so after it exactly one connection to that path is new.
 *
 * @module
 */

import { socketCalls } from "../../../device/linux/mod.ts";
import { SEND_BUFFER_SIZE } from "../../wire/mod.ts";

/** Ends when the connects that were asked for have ended. Never fails. */
let connecting: Promise<unknown> = Promise.resolve();

/**
 * Connects to a Unix socket.
 *
 * @param path The path of the socket.
 * @returns The connection, and its descriptor if that is certain.
 */
export function connectToUnix(
  path: string,
): Promise<{ conn: Deno.Conn; descriptor: number | undefined }> {
  const connected = connecting.then(() => connectNext(path));
  connecting = connected.catch(() => {});
  return connected;
}

async function connectNext(
  path: string,
): Promise<{ conn: Deno.Conn; descriptor: number | undefined }> {
  const native = socketCalls();
  const before = native?.connections.connectedTo(path);
  const conn = await Deno.connect({ transport: "unix", path });
  const after = native?.connections.connectedTo(path) ?? new Map();
  const fresh = [...after].filter(([cookie]) => before?.has(cookie) === false);
  const descriptor: number | undefined = fresh[0]?.[1];
  if (native === null || descriptor === undefined || fresh.length > 1) {
    return { conn, descriptor: undefined };
  }
  native.sockets.setSendBuffer(descriptor, SEND_BUFFER_SIZE);
  return { conn, descriptor };
}
