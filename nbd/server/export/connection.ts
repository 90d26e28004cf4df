/**
 * Classifies errors and addresses of the runtime's connections.
 *
 * @module
 */

import { VirstorError } from "../../../errors.ts";

/**
 * Tells whether a client, the network or a device can cause an error. Any other
 * error is a fault of the server.
 *
 * @param error The thrown value.
 * @returns True for a `VirstorError` and for errors of the runtime's sockets.
 */
export function isExpected(error: unknown): boolean {
  if (error instanceof VirstorError) return true;
  // The runtime's sockets throw these classes, or a plain `Error` with a system
  // code.
  return Object.values(Deno.errors).some((known) => error instanceof known) ||
    (error instanceof Error && "code" in error);
}

/**
 * Tells whether a connection uses TCP.
 *
 * @param connection The connection.
 * @returns False for a Unix socket.
 */
export function isTcp(connection: Deno.Conn): connection is Deno.TcpConn {
  return connection.remoteAddr.transport === "tcp";
}

/**
 * Names the peer of a connection for the log.
 *
 * @param address The remote address.
 * @returns `ADDRESS:PORT`, or `unix`.
 */
export function peerOf(address: Deno.Addr): string {
  return address.transport === "tcp"
    ? `${address.hostname}:${address.port}`
    : address.transport;
}
