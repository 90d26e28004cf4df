/**
 * What the server has to know of connections of the runtime.
 *
 * @module
 */

import { VirstorError } from "../../../errors.ts";

/**
 * Whether a client or the network can cause an error.
 *
 * @param error What was thrown.
 * @returns Whether it is no fault of the server.
 */
export function isExpected(error: unknown): boolean {
  if (error instanceof VirstorError) return true;
  // The runtime gives errors of sockets these classes, or a plain `Error`
  // with a system code.
  return Object.values(Deno.errors).some((known) => error instanceof known) ||
    (error instanceof Error && "code" in error);
}

/**
 * Whether a connection came over TCP.
 *
 * @param connection The connection.
 * @returns Whether it did.
 */
export function isTcp(connection: Deno.Conn): connection is Deno.TcpConn {
  return connection.remoteAddr.transport === "tcp";
}

/**
 * Where a connection came from.
 *
 * @param address The other end.
 * @returns `ADDRESS:PORT`, or `unix`.
 */
export function peerOf(address: Deno.Addr): string {
  return address.transport === "tcp"
    ? `${address.hostname}:${address.port}`
    : address.transport;
}
