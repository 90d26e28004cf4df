/**
 * What the server needs of a connection: bytes in, bytes out, and an end.
 *
 * `Deno.Conn` is one already; so is a TLS connection.
 *
 * @module
 */

import type { MemoryPart } from "../../../device/linux/mod.ts";
import type { NbdCounters } from "../export/mod.ts";

/** A connection, seen as bytes. */
export interface ByteStream {
  /**
   * Waits for bytes and puts what there is into `target`.
   *
   * @param target Where the bytes go; not empty.
   * @returns How many came, or `null` at the end.
   */
  read(target: Uint8Array): Promise<number | null>;
  /**
   * Sends some of `source`, at least one byte.
   *
   * @param source The bytes; not empty.
   * @returns How many were taken.
   */
  write(source: Uint8Array): Promise<number>;
  /** Ends the connection; what waits in `read` or `write` then fails. */
  close(): void;
}

/**
 * What carries the requests and replies of one connection from the end of its
 * handshake to its own end: a lane, the event loop, or TLS.
 */
export interface Carrier extends ByteStream {
  /** How the client is served, for a log: the end of a phrase, or "". */
  readonly manner: string;
  /**
   * Changes when requests come that the carrier answers by itself, so that
   * `read` never sees them.
   */
  readonly activity: number;
  /**
   * Whether everything that came could be read here and, where the system
   * tells, everything that was written has arrived. Requires that no promise
   * of this carrier is about to be kept: ask at the start of a macrotask.
   */
  readonly isDrained: boolean;
  /**
   * As {@linkcode write}, but waits for nothing.
   *
   * @param memory Where the bytes are,
   * @param start from here,
   * @param end to here; behind `start`.
   * @returns How many were taken; if not all, `write` has to be asked.
   */
  writeNow(memory: Uint8Array, start: number, end: number): number;
  /**
   * Sends what is taken at once of parts, one behind the other; of many parts
   * perhaps only of the first ones.
   *
   * @param parts The parts, none of them empty; at least one.
   * @returns How many bytes were taken; if not all, it has to be asked again,
   *   or `write` has to be asked.
   */
  writePartsNow?(parts: readonly MemoryPart[]): number;
  /**
   * Busy-polls for bytes.
   *
   * *Requires*: no `read` is under way, which could get what comes later.
   *
   * @param memory Where the bytes go,
   * @param start from here on; not its end.
   * @param ms How long, milliseconds; also less than one.
   * @returns How many came; 0 if none did, or at the end.
   */
  readSoon?(memory: Uint8Array, start: number, ms: number): number;
  /** From now on everything that comes can be read here. */
  divert(): void;
  /**
   * Adds what the carrier has answered by itself.
   *
   * @param counters Where to.
   */
  addCounts(counters: NbdCounters): void;
}

/**
 * Sends the whole of `source`.
 *
 * @param stream Where to.
 * @param source The bytes; may be empty.
 */
export async function writeAll(
  stream: ByteStream,
  source: Uint8Array,
): Promise<void> {
  let sent = 0;
  while (sent < source.length) {
    sent += await stream.write(source.subarray(sent));
  }
}

/**
 * Tells whether a connection is one of TCP.
 *
 * @param connection The connection.
 * @returns Otherwise it is of a Unix socket.
 */
export function isTcp(connection: Deno.Conn): connection is Deno.TcpConn {
  return connection.remoteAddr.transport === "tcp";
}

/**
 * Closes what may be closed already.
 *
 * @param resource A connection or a listener.
 */
export function closeQuietly(resource: Pick<ByteStream, "close">): void {
  try {
    resource.close();
  } catch (error) {
    // It is closed already, which is what was wanted.
    if (!(error instanceof Deno.errors.BadResource)) throw error;
  }
}
