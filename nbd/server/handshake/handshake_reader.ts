/**
 * Takes exact numbers of bytes from a connection during the handshake, from
 * one small buffer of a fixed size: what a client promises to send costs
 * nothing until it is used.
 *
 * @module
 */

import { assert, VirstorError } from "../../../errors.ts";
import type { ByteStream } from "../stream/mod.ts";

/** Reads a handshake. */
export class HandshakeReader {
  readonly #stream: ByteStream;
  readonly #buffer: Uint8Array;
  #start = 0;
  #end = 0;

  /**
   * Creates a reader.
   *
   * @param stream The connection.
   * @param capacity The most bytes that {@linkcode take} will be asked for.
   */
  constructor(stream: ByteStream, capacity: number) {
    this.#stream = stream;
    this.#buffer = new Uint8Array(capacity);
  }

  /**
   * Takes the next bytes.
   *
   * @param length How many, up to the capacity.
   * @returns The bytes, valid until the next call.
   * @throws {VirstorError} With code `cancelled` if the client left.
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
   * Takes the next bytes and drops them.
   *
   * @param length How many, any number.
   * @throws {VirstorError} With code `cancelled` if the client left.
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
   * What was received and not taken: requests that were sent too early.
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
        "The client left during the handshake",
      );
    }
    return count;
  }
}
