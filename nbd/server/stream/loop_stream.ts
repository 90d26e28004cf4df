/**
 * A connection that the event loop serves. Where its descriptor is known, what
 * the system takes at once is sent with one native call and no promise.
 *
 * @module
 */

import {
  addressOf,
  type MemoryPart,
  type NativeSockets,
} from "../../../device/linux/mod.ts";
import { descriptorOf, isDrained, nativeSockets } from "./descriptors.ts";
import type { ByteStream, Carrier } from "./stream.ts";

/** A connection on the event loop. */
export class LoopStream implements Carrier {
  /** Nothing to say of how the client is served. */
  readonly manner = "";
  /** Nothing is answered before it could be read here. */
  readonly activity = 0;
  readonly #connection: ByteStream;
  readonly #descriptor: number | undefined;
  readonly #sockets: NativeSockets | null;
  #isClosed = false;

  /**
   * Takes a connection over.
   *
   * @param connection What the runtime has, with nothing in flight on it; it
   *   is closed with this stream.
   */
  constructor(connection: ByteStream) {
    this.#connection = connection;
    this.#descriptor = descriptorOf(connection);
    this.#sockets = nativeSockets();
  }

  /** Whether the system holds nothing of this connection. */
  get isDrained(): boolean {
    return this.#isClosed || isDrained(this.#connection);
  }

  /**
   * Waits for bytes.
   *
   * @param target Where they go; not empty.
   * @returns How many came, or `null` at the end.
   */
  read(target: Uint8Array): Promise<number | null> {
    return this.#connection.read(target);
  }

  /**
   * Sends some bytes.
   *
   * @param source The bytes; not empty.
   * @returns How many were taken.
   */
  write(source: Uint8Array): Promise<number> {
    return this.#connection.write(source);
  }

  /**
   * Sends what is taken at once.
   *
   * @param memory Where the bytes are,
   * @param start from here,
   * @param end to here.
   * @returns How many were taken; if not all, `write` has to be asked.
   */
  writeNow(memory: Uint8Array, start: number, end: number): number {
    const [sockets, descriptor] = [this.#sockets, this.#descriptor];
    if (this.#isClosed || sockets === null || descriptor === undefined) {
      return 0;
    }
    return Math.max(0, sockets.sendNow(descriptor, memory, start, end));
  }

  /**
   * Sends what is taken at once of parts.
   *
   * @param parts The parts, none of them empty; at least one.
   * @returns How many bytes were taken.
   */
  writePartsNow(parts: readonly MemoryPart[]): number {
    const [sockets, descriptor] = [this.#sockets, this.#descriptor];
    if (this.#isClosed || sockets === null || descriptor === undefined) {
      return 0;
    }
    return Math.max(0, sockets.sendPartsNow(descriptor, parts));
  }

  /**
   * Busy-polls for bytes, with native calls.
   *
   * *Requires*: no `read` is under way.
   *
   * @param memory Where the bytes go,
   * @param start from here on; not its end.
   * @param ms How long, milliseconds; also less than one.
   * @returns How many came; 0 if none did, at the end, or if the descriptor is
   *   not known.
   */
  readSoon(memory: Uint8Array, start: number, ms: number): number {
    const [sockets, descriptor] = [this.#sockets, this.#descriptor];
    if (this.#isClosed || sockets === null || descriptor === undefined) {
      return 0;
    }
    const at = addressOf(memory) + start;
    const length = memory.length - start;
    return Math.max(0, sockets.receiveSoon(descriptor, at, length, ms));
  }

  /** Everything that comes can be read here already. */
  divert(): void {}

  /** The event loop answers everything, and counts it. */
  addCounts(): void {}

  /** Ends the connection. */
  close(): void {
    // The number may be another's from now on.
    this.#isClosed = true;
    this.#connection.close();
  }
}
