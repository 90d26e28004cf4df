/**
 * Receives messages of known lengths from a stream.
 *
 * @module
 */

import { assert, VirstorError } from "../../../errors.ts";
import { viewOf } from "../../../device/block/mod.ts";
import type { ClientStream } from "./stream.ts";

/** Bytes of the receive buffer: as many as a socket usually holds. */
const BUFFER_SIZE = 256 * 1024;

/** Receives from one stream, and buffers what arrives early. */
export class ByteReader {
  #stream: ClientStream;
  readonly #buffer = new Uint8Array(BUFFER_SIZE);
  /** The buffer, for numbers. */
  readonly view: DataView = viewOf(this.#buffer);
  #start = 0;
  #end = 0;
  #received = 0;

  /**
   * Receives from a stream.
   *
   * @param stream The stream.
   */
  constructor(stream: ClientStream) {
    this.#stream = stream;
  }

  /** Bytes that have arrived and are not consumed. */
  get available(): number {
    return this.#end - this.#start;
  }

  /** Position of the first byte that is not consumed, in `view`. */
  get position(): number {
    return this.#start;
  }

  /** Bytes received in total. */
  get received(): number {
    return this.#received;
  }

  /**
   * Continues on another stream: that of TLS.
   *
   * *Requires:* nothing is buffered.
   *
   * @param stream The stream.
   */
  replaceStream(stream: ClientStream): void {
    assert(this.available === 0, "no byte is left of the stream before");
    this.#stream = stream;
  }

  /**
   * Waits until that many bytes have arrived.
   *
   * @param count Bytes, at most those of the buffer.
   * @throws {VirstorError} `io` if the stream ends before.
   */
  async need(count: number): Promise<void> {
    assert(count <= BUFFER_SIZE, "a message fits into the buffer");
    while (this.available < count) {
      if (this.#start + count > BUFFER_SIZE) {
        this.#buffer.copyWithin(0, this.#start, this.#end);
        this.#end -= this.#start;
        this.#start = 0;
      }
      this.#end += await this.#receive(this.#buffer.subarray(this.#end));
    }
  }

  /**
   * Busy-polls for more bytes, where the stream can.
   *
   * *Requires*: nothing waits for bytes.
   *
   * @param ms How long, milliseconds; also less than one.
   * @returns Whether some have come.
   */
  poll(ms: number): boolean {
    const room = this.#buffer.subarray(this.#end);
    if (room.length === 0) return false;
    const count = this.#stream.readSoon?.(room, ms) ?? 0;
    this.#end += count;
    this.#received += count;
    return count > 0;
  }

  /**
   * Consumes bytes that have arrived.
   *
   * @param count Bytes, at most {@linkcode available}.
   * @returns Their position in {@linkcode view}, valid until the next call of
   *   another method.
   */
  take(count: number): number {
    assert(count <= this.available, "no byte is consumed before it arrives");
    const at = this.#start;
    this.#start += count;
    if (this.#start === this.#end) {
      this.#start = 0;
      this.#end = 0;
    }
    return at;
  }

  /**
   * Consumes bytes that have arrived.
   *
   * @param count Bytes, at most {@linkcode available}.
   * @returns The bytes, valid until the next call of another method.
   */
  bytes(count: number): Uint8Array {
    const at = this.take(count);
    return this.#buffer.subarray(at, at + count);
  }

  /**
   * Fills a buffer with the next bytes.
   *
   * @param target The buffer.
   * @throws {VirstorError} `io` if the stream ends before.
   */
  async fill(target: Uint8Array): Promise<void> {
    let done = Math.min(this.available, target.length);
    target.set(this.bytes(done));
    while (done < target.length) {
      done += await this.#receive(target.subarray(done));
    }
  }

  /**
   * Consumes and drops the next bytes.
   *
   * @param count Bytes, any number.
   * @throws {VirstorError} `io` if the stream ends before.
   */
  async skip(count: number): Promise<void> {
    let rest = count;
    while (rest > 0) {
      if (this.available === 0) await this.need(1);
      const step = Math.min(rest, this.available);
      this.take(step);
      rest -= step;
    }
  }

  async #receive(target: Uint8Array): Promise<number> {
    const count = await this.#stream.read(target);
    if (count === null || count === 0) {
      throw new VirstorError("io", "The server closed the connection");
    }
    this.#received += count;
    return count;
  }
}
