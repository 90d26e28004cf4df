/**
 * Who is at the other end of a connection.
 *
 * @module
 */

/**
 * Tells connections over a network from others.
 *
 * @param connection Any connection.
 * @returns True for TCP.
 */
export function isTcp(connection: Deno.Conn): connection is Deno.TcpConn {
  return connection.remoteAddr.transport === "tcp";
}

/**
 * Where a connection came from, for people.
 *
 * @param address The address of the other end.
 * @returns Host and port, or what kind of socket it is.
 */
export function peerOf(address: Deno.Addr): string {
  return address.transport === "tcp"
    ? `${address.hostname}:${address.port}`
    : address.transport;
}
