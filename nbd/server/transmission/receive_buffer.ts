/**
 * The bytes of one connection that have come and are not used yet, in one
 * buffer of a fixed size: requests are decoded and payloads used in place.
 *
 * @module
 */

import { assert } from "../../../errors.ts";
import { RECEIVE_BUFFER_SIZE } from "../../wire/mod.ts";

/** A buffer that is filled at its end and used up from its start. */
export class ReceiveBuffer {
  /** All of it, to decode in place. */
  readonly view: DataView;
  readonly #bytes: Uint8Array<ArrayBuffer>;
  #start = 0;
  #end = 0;

  /**
   * Creates a buffer.
   *
   * @param early Bytes that have come already; they are copied.
   * @param bytes The memory, a whole one; it is taken anew by default.
   */
  constructor(
    early: Uint8Array,
    bytes: Uint8Array<ArrayBuffer> = new Uint8Array(RECEIVE_BUFFER_SIZE),
  ) {
    this.#bytes = bytes;
    this.#bytes.set(early);
    this.#end = early.length;
    this.view = new DataView(this.#bytes.buffer);
  }

  /** Where the first unused byte is, in {@linkcode view}. */
  get start(): number {
    return this.#start;
  }

  /** All of it, as {@linkcode view}. */
  get memory(): Uint8Array {
    return this.#bytes;
  }

  /** Where the next byte goes, in {@linkcode memory}. */
  get end(): number {
    return this.#end;
  }

  /** How many unused bytes there are. */
  get available(): number {
    return this.#end - this.#start;
  }

  /**
   * Room at the end, made as large as can be: what is left is moved to the
   * start, which is part of one request, or what a stall leaves behind.
   *
   * @returns Whether there is any, from {@linkcode end} to the end of
   *   {@linkcode memory}, until {@linkcode received}.
   */
  makeRoom(): boolean {
    if (this.#start > 0) {
      this.#bytes.copyWithin(0, this.#start, this.#end);
      this.#end -= this.#start;
      this.#start = 0;
    }
    return this.#end < this.#bytes.length;
  }

  /**
   * Adds what has come into the room.
   *
   * @param count How many bytes.
   */
  received(count: number): void {
    this.#end += count;
    assert(this.#end <= this.#bytes.length, "what comes has room");
  }

  /**
   * Uses bytes.
   *
   * @param length How many of those that are available.
   * @returns The bytes, valid until {@linkcode makeRoom} is called.
   */
  take(length: number): Uint8Array {
    const start = this.#start;
    this.#start += length;
    return this.#bytes.subarray(start, this.#start);
  }

  /**
   * Looks ahead.
   *
   * @returns Another buffer over the same bytes, whose use leaves this one as
   *   it is. Valid until {@linkcode makeRoom} is called.
   */
  ahead(): ReceiveBuffer {
    const ahead = new ReceiveBuffer(new Uint8Array(), this.#bytes);
    ahead.#start = this.#start;
    ahead.#end = this.#end;
    return ahead;
  }

  /**
   * Drops bytes.
   *
   * @param length How many of those that are available.
   */
  skip(length: number): void {
    this.#start += length;
  }

  /** Gives the memory back, at once; afterwards it must not be used. */
  free(): void {
    this.#bytes.buffer.transfer(0);
  }
}
