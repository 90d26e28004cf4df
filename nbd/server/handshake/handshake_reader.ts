/**
 * Receives exact numbers of bytes from a connection during the handshake. It
 * uses one buffer of fixed size, whatever lengths a client announces.
 *
 * @module
 */

import { assert, VirstorError } from "../../../errors.ts";
import type { ByteStream } from "../stream/mod.ts";

/** Receives the messages of one handshake. One call at a time. */
export class HandshakeReader {
  readonly #stream: ByteStream;
  readonly #buffer: Uint8Array;
  #start = 0;
  #end = 0;

  /**
   * Creates a reader.
   *
   * @param stream The connection.
   * @param capacity The largest `length` of {@linkcode take}, bytes.
   */
  constructor(stream: ByteStream, capacity: number) {
    this.#stream = stream;
    this.#buffer = new Uint8Array(capacity);
  }

  /**
   * Receives the next bytes.
   *
   * @param length Number of bytes, up to the capacity.
   * @returns The bytes, valid until the next call.
   * @throws {VirstorError} With code `cancelled` if the client disconnects.
   */
  async take(length: number): Promise<Uint8Array> {
    assert(
      length <= this.#buffer.length,
      "a handshake message fits its buffer",
    );
    if (this.#start + length > this.#buffer.length) {
      this.#buffer.copyWithin(0, this.#start, this.#end);
      this.#end -= this.#start;
      this.#start = 0;
    }
    while (this.#end - this.#start < length) {
      this.#end += await this.#receive(this.#buffer.subarray(this.#end));
    }
    const bytes = this.#buffer.subarray(this.#start, this.#start + length);
    this.#start += length;
    return bytes;
  }

  /**
   * Receives the next bytes and drops them.
   *
   * @param length Number of bytes; may exceed the capacity.
   * @throws {VirstorError} With code `cancelled` if the client disconnects.
   */
  async skip(length: number): Promise<void> {
    let rest = length;
    for (;;) {
      const taken = Math.min(rest, this.#end - this.#start);
      this.#start += taken;
      rest -= taken;
      if (rest === 0) return;
      this.#start = 0;
      this.#end = await this.#receive(this.#buffer);
    }
  }

  /**
   * Bytes that were received and not taken: requests that the client sent
   * before the handshake ended.
   *
   * @returns The bytes, valid until the next call.
   */
  rest(): Uint8Array {
    return this.#buffer.subarray(this.#start, this.#end);
  }

  async #receive(target: Uint8Array): Promise<number> {
    const count = await this.#stream.read(target);
    if (count === null) {
      throw new VirstorError(
        "cancelled",
        "The client closed the connection during the handshake",
      );
    }
    return count;
  }
}
