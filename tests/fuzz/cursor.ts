/**
 * Takes bytes from a transcript, one part after the other.
 *
 * @module
 */

/** There are not so many bytes left. */
export class EndOfBytes extends Error {
  /** Says so. */
  constructor() {
    super("There are not so many bytes left");
  }
}

/** A place in some bytes. */
export class Cursor {
  readonly #bytes: Uint8Array;
  #at = 0;

  /**
   * Starts at the first byte.
   *
   * @param bytes The bytes.
   */
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** How many bytes are left. */
  get left(): number {
    return this.#bytes.length - this.#at;
  }

  /**
   * Takes the next bytes.
   *
   * @param length How many.
   * @returns The bytes.
   * @throws {EndOfBytes} If there are fewer.
   */
  take(length: number): Uint8Array {
    if (length > this.left) throw new EndOfBytes();
    const bytes = this.#bytes.subarray(this.#at, this.#at + length);
    this.#at += length;
    return bytes;
  }

  /**
   * Takes the next bytes, as numbers.
   *
   * @param length How many.
   * @returns A view of them.
   * @throws {EndOfBytes} If there are fewer.
   */
  view(length: number): DataView {
    const { buffer, byteOffset, byteLength } = this.take(length);
    return new DataView(buffer, byteOffset, byteLength);
  }
}

/**
 * Fails if something does not hold.
 *
 * @param holds Whether it does.
 * @param what What is wrong otherwise.
 */
export function check(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(`The server has answered wrong: ${what}`);
}
