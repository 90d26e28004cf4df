/**
 * The end of a remote component in memory: the chunk table and the superblocks,
 * which are read on the way of a write and so must be there at once.
 *
 * @module
 */

import { assert } from "../../errors.ts";

/** Bytes of a page. */
const PAGE = 4096;
/** Bytes that are read at once. */
const STEP = 1 << 20;

/** Reads from the component. */
type Read = (target: Uint8Array, offset: number) => Promise<void>;

/** The bytes of a component from some byte on. */
export class KeptTail {
  /** The first byte, a whole page. */
  readonly start: number;
  readonly #size: number;
  /** Pages that hold anything but zeroes, by number. */
  readonly #pages = new Map<number, Uint8Array>();
  /** Everything before it, from the start on, is kept. */
  #loaded: number;
  /** Counts the changes, so that a read can tell whether one came meanwhile. */
  #changes = 0;

  /**
   * Keeps nothing yet.
   *
   * @param start The first byte; the whole page of it is kept.
   * @param size Bytes of the component.
   */
  constructor(start: number, size: number) {
    assert(start >= 0 && start <= size, "what is kept lies on the component");
    this.start = this.#loaded = Math.floor(start / PAGE) * PAGE;
    this.#size = size;
  }

  /** Bytes that are held. */
  get held(): number {
    return this.#pages.size * PAGE;
  }

  /**
   * Reads everything once.
   *
   * @param read Reads from the component.
   */
  async load(read: Read): Promise<void> {
    const buffer = new Uint8Array(STEP);
    while (this.#loaded < this.#size) {
      const at = this.#loaded;
      const bytes = buffer.subarray(0, Math.min(STEP, this.#size - at));
      const changes = this.#changes;
      await read(bytes, at);
      // The read may have missed a change that came meanwhile.
      if (changes !== this.#changes) continue;
      this.#loaded = at + bytes.length;
      this.#put(bytes, at);
    }
  }

  /**
   * Whether a range can be read at once.
   *
   * @param offset The first byte.
   * @param length Bytes of the range.
   * @returns Whether all of it is kept.
   */
  has(offset: number, length: number): boolean {
    return offset >= this.start && offset + length <= this.#loaded;
  }

  /**
   * Reads.
   *
   * *Requires*: {@linkcode has}.
   *
   * @param target The buffer to fill.
   * @param offset The first byte.
   */
  read(target: Uint8Array, offset: number): void {
    this.#eachPage(offset, target.length, (page, within, at, count) => {
      const bytes = this.#pages.get(page);
      const part = target.subarray(at, at + count);
      if (bytes === undefined) part.fill(0);
      else part.set(bytes.subarray(within, within + count));
    });
  }

  /**
   * Notes a write to the component.
   *
   * @param source The bytes.
   * @param offset The first byte.
   */
  write(source: Uint8Array, offset: number): void {
    const end = offset + source.length;
    if (end <= this.start) return;
    this.#changes += 1;
    const from = Math.max(offset, this.start);
    const to = Math.min(end, this.#loaded);
    if (from < to) this.#put(source.subarray(from - offset, to - offset), from);
  }

  /**
   * Notes zeroes.
   *
   * @param offset The first byte.
   * @param length How many.
   */
  zero(offset: number, length: number): void {
    const end = offset + length;
    if (end <= this.start) return;
    this.#changes += 1;
    const from = Math.max(offset, this.start);
    const to = Math.min(end, this.#loaded);
    if (from >= to) return;
    // The pages that there are may be far fewer than those of the range.
    for (const [page, bytes] of this.#pages) {
      const first = Math.max(0, from - page * PAGE);
      const last = Math.min(PAGE, to - page * PAGE);
      if (first >= last) continue;
      if (last - first === PAGE) this.#pages.delete(page);
      else bytes.fill(0, first, last);
    }
  }

  #put(source: Uint8Array, offset: number): void {
    this.#eachPage(offset, source.length, (page, within, at, count) => {
      const part = source.subarray(at, at + count);
      let bytes = this.#pages.get(page);
      if (bytes === undefined) {
        if (part.every((byte) => byte === 0)) return;
        bytes = new Uint8Array(PAGE);
        this.#pages.set(page, bytes);
      }
      bytes.set(part, within);
    });
  }

  #eachPage(
    offset: number,
    length: number,
    act: (page: number, within: number, at: number, count: number) => void,
  ): void {
    for (let at = 0; at < length;) {
      const page = Math.floor((offset + at) / PAGE);
      const within = offset + at - page * PAGE;
      const count = Math.min(PAGE - within, length - at);
      act(page, within, at, count);
      at += count;
    }
  }
}
