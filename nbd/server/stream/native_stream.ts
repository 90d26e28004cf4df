/**
 * A connection whose descriptor is known, as the event loop serves it: without
 * the runtime where that can be. What the system takes at once is sent with one
 * call and no promise; and who is the only client can be waited for by asking
 * again and again (`polling.ts`).
 *
 * @module
 */

import type { NativeSockets } from "../../../device/linux/mod.ts";
import { POLL_US } from "../../wire/mod.ts";
import { isDrained } from "./descriptors.ts";
import type { ByteStream } from "./stream.ts";

/** What a native stream is made of. */
export interface NativeStreamParts {
  /** What the runtime has; it is closed with the stream. */
  readonly connection: Deno.Conn;
  /** The same. */
  readonly descriptor: number;
  /** What sends and receives. */
  readonly sockets: NativeSockets;
  /** Whether nobody else waits for the event loop. */
  readonly isAlone: () => boolean;
}

/** A connection that is used without the runtime where that can be. */
export class NativeStream implements ByteStream {
  readonly #parts: NativeStreamParts;
  #isClosed = false;

  /**
   * Begins with a connection that nothing is under way on.
   *
   * @param parts What it is made of.
   */
  constructor(parts: NativeStreamParts) {
    this.#parts = parts;
  }

  /** Whether the system holds nothing of this connection. */
  get isDrained(): boolean {
    return this.#isClosed || isDrained(this.#parts.connection);
  }

  /**
   * Waits for bytes.
   *
   * @param target Where they go; not empty.
   * @returns How many came, or `null` at the end.
   */
  read(target: Uint8Array): Promise<number | null> {
    return this.#parts.connection.read(target);
  }

  /**
   * Sends some bytes.
   *
   * @param source The bytes; not empty.
   * @returns How many were taken.
   */
  write(source: Uint8Array): Promise<number> {
    return this.#parts.connection.write(source);
  }

  /**
   * Takes what is there, or comes within {@linkcode POLL_US}.
   *
   * @param memory Where the bytes go,
   * @param start from here,
   * @param end to here at most.
   * @returns How many; 0 if `read` has to be asked.
   */
  readSoon(memory: Uint8Array, start: number, end: number): number {
    const { sockets, descriptor, isAlone } = this.#parts;
    if (this.#isClosed || !isAlone()) return 0;
    return Math.max(
      0,
      sockets.receiveSoon(descriptor, memory, start, end, POLL_US / 1000),
    );
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
    if (this.#isClosed) return 0;
    const { sockets, descriptor } = this.#parts;
    return Math.max(0, sockets.sendNow(descriptor, memory, start, end));
  }

  /** Ends the connection. */
  close(): void {
    // The number may be another's from now on.
    this.#isClosed = true;
    this.#parts.connection.close();
  }
}
