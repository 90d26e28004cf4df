/**
 * Memory for the bytes of requests to the far side, used again and again: fresh
 * memory has to be zeroed, and collected afterwards.
 *
 * @module
 */

/** The smallest buffer, bytes. */
const LEAST = 4096;
/** Bytes of free buffers that are kept. */
const KEPT_MAX = 8 << 20;

/** Buffers of powers of two. */
export class FlightBuffers {
  /** Free buffers, by the logarithm of their size. */
  readonly #free: Uint8Array[][] = [];
  #kept = 0;

  /**
   * Takes a buffer.
   *
   * @param length Bytes.
   * @returns The buffer; what it holds is undefined.
   */
  take(length: number): Uint8Array {
    const order = orderOf(length);
    const buffer = this.#free[order]?.pop();
    if (buffer === undefined) {
      return new Uint8Array(2 ** order).subarray(0, length);
    }
    this.#kept -= buffer.length;
    return buffer.subarray(0, length);
  }

  /**
   * Gives a buffer back.
   *
   * *Requires*: nothing uses it.
   *
   * @param taken What {@linkcode take} has returned.
   */
  give(taken: Uint8Array): void {
    const buffer = new Uint8Array(taken.buffer);
    if (this.#kept + buffer.length > KEPT_MAX) return;
    this.#kept += buffer.length;
    const order = orderOf(buffer.length);
    (this.#free[order] ??= []).push(buffer);
  }
}

function orderOf(length: number): number {
  return 32 - Math.clz32(Math.max(length, LEAST) - 1);
}
