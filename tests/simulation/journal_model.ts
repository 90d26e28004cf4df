/**
 * What a remote component promises: for each of its sectors, the contents that
 * it may have now.
 *
 * @module
 */

import { SECTOR } from "./simulated_file.ts";

/** A change of a sector. */
interface Version {
  /** Its number, of all changes; 0 of the initial zeroes. */
  readonly number: number;
  /** Whether the sector reads as zeroes from then on. */
  readonly isZero: boolean;
}

/** The contents that each sector may have. */
export class JournalModel {
  /** Number of sectors. */
  readonly sectors: number;
  #last = 0;
  /** What was ever sent, and is not known to be lost. */
  readonly #sent: Version[][];
  /** The number of the last change that was acknowledged. */
  readonly #acknowledged: number[];
  /** The number of the last change that a flush has covered. */
  readonly #flushed: number[];

  /**
   * Begins with zeroes.
   *
   * @param sectors Number of sectors.
   */
  constructor(sectors: number) {
    this.sectors = sectors;
    this.#sent = Array.from(
      { length: sectors },
      () => [{ number: 0, isZero: true }],
    );
    this.#acknowledged = new Array<number>(sectors).fill(0);
    this.#flushed = new Array<number>(sectors).fill(0);
  }

  /**
   * Sends a change.
   *
   * @param first The first sector.
   * @param count How many.
   * @param isZero Whether it zeroes.
   * @returns Its number, and what to write.
   */
  send(
    first: number,
    count: number,
    isZero: boolean,
  ): { readonly number: number; readonly bytes: Uint8Array } {
    this.#last += 1;
    const number = this.#last;
    const words = new Uint32Array(count * SECTOR / 4);
    for (let i = 0; i < count; i++) {
      this.#sent[first + i]?.push({ number, isZero });
      for (let word = 0; word < SECTOR / 4; word += 2) {
        words[i * SECTOR / 4 + word] = number;
        words[i * SECTOR / 4 + word + 1] = first + i;
      }
    }
    return { number, bytes: new Uint8Array(words.buffer) };
  }

  /**
   * Notes that a change was acknowledged.
   *
   * @param number Its number.
   * @param first The first sector.
   * @param count How many.
   */
  acknowledge(number: number, first: number, count: number): void {
    for (let i = first; i < first + count; i++) {
      this.#acknowledged[i] = Math.max(this.#acknowledged[i] ?? 0, number);
    }
  }

  /** What a flush that begins now covers. */
  get covered(): readonly number[] {
    return [...this.#acknowledged];
  }

  /**
   * Notes that a flush was good.
   *
   * @param covered What {@linkcode covered} was when the flush began.
   */
  flush(covered: readonly number[]): void {
    for (const [i, number] of covered.entries()) {
      this.#flushed[i] = Math.max(this.#flushed[i] ?? 0, number);
    }
  }

  /**
   * Notes that a change was durable when it was acknowledged (FUA).
   *
   * @param number Its number.
   * @param first The first sector.
   * @param count How many.
   */
  force(number: number, first: number, count: number): void {
    for (let i = first; i < first + count; i++) {
      this.#flushed[i] = Math.max(this.#flushed[i] ?? 0, number);
    }
  }

  /** The power is cut: what was not flushed may be lost. */
  cut(): void {
    for (const [i, number] of this.#flushed.entries()) {
      this.#acknowledged[i] = number;
    }
  }

  /**
   * Checks what is there.
   *
   * @param bytes The content of all sectors.
   * @param what Whose content it is.
   * @param least The lowest number that each sector may have; what was
   *   acknowledged unless given.
   */
  check(
    bytes: Uint8Array,
    what: string,
    least: readonly number[] = this.#acknowledged,
  ): void {
    for (let i = 0; i < this.sectors; i++) {
      this.#find(bytes, i, least[i] ?? 0, what);
    }
  }

  /**
   * Checks what is durable on the far side: what was flushed.
   *
   * @param bytes The content.
   */
  checkDurable(bytes: Uint8Array): void {
    this.check(bytes, "the far side", this.#flushed);
  }

  /**
   * Notes that what is there was made durable: nothing else may come back.
   *
   * @param bytes The content of all sectors.
   */
  settle(bytes: Uint8Array): void {
    for (let i = 0; i < this.sectors; i++) {
      const least = this.#acknowledged[i] ?? 0;
      const found = this.#find(bytes, i, least, "what is settled");
      this.#sent[i] = [found];
      this.#acknowledged[i] = this.#flushed[i] = found.number;
    }
  }

  /** The newest change that explains a sector. */
  #find(
    bytes: Uint8Array,
    index: number,
    least: number,
    what: string,
  ): Version {
    const start = bytes.byteOffset + index * SECTOR;
    const words = new Uint32Array(bytes.buffer, start, SECTOR / 4);
    const [number = 0] = words;
    if (!isWhole(words, number, index)) {
      throw new Error(`${what}: sector ${index} is mixed, or another one`);
    }
    const sent = this.#sent[index] ?? [];
    const found = sent.findLast((version) =>
      number === 0 ? version.isZero : version.number === number
    );
    if (found === undefined || found.number < least) {
      throw new Error(
        `${what}: sector ${index} is ${number}, may be ${least} or later ` +
          `of ${sent.map((version) => version.number)}`,
      );
    }
    return found;
  }
}

/** Whether the words of a sector are those that {@linkcode JournalModel} sent. */
function isWhole(words: Uint32Array, number: number, index: number): boolean {
  const other = number === 0 ? 0 : index;
  for (let at = 0; at < words.length; at += 2) {
    if (words[at] !== number || words[at + 1] !== other) return false;
  }
  return true;
}
