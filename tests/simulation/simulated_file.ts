/**
 * A file on a disk with a volatile cache: what reads see, what is durable, and
 * the changes in between.
 *
 * Bytes are kept by the sector, and a sector that was punched takes no memory:
 * copies are cheap, and so are holes of any length.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import type { Extent } from "../../device/mod.ts";

/** What a power cut leaves old or new: bytes. */
export const SECTOR = 512;

/** A sector of zeroes that has its space, the same for all. */
const ZEROES = new Uint8Array(SECTOR);

/** A change of a file. */
export interface Change {
  /** The first byte. */
  readonly offset: number;
  /** How many bytes. */
  readonly length: number;
  /** What was written, which never changes again. Undefined: zeroes. */
  readonly bytes: Uint8Array | undefined;
  /** Whether it gives the space back. */
  readonly isPunch: boolean;
}

/** Bytes, by the sector. Undefined: a hole. Sectors are never changed. */
type Sectors = (Uint8Array | undefined)[];

/** One simulated file. */
export class SimulatedFile {
  /** Where it is. */
  readonly path: string;
  /** The device that has it open for writing. */
  writer: unknown = undefined;

  #current: Sectors;
  #durable: Sectors;
  #pending: Change[] = [];

  private constructor(path: string, size: number) {
    this.path = path;
    this.#durable = new Array<undefined>(size / SECTOR).fill(undefined);
    this.#current = [...this.#durable];
  }

  /**
   * Makes a file with durable content.
   *
   * @param path Where it is.
   * @param content Its bytes, whole sectors.
   * @returns The file.
   */
  static of(path: string, content: Uint8Array): SimulatedFile {
    const { length } = content;
    const file = new SimulatedFile(path, length);
    const bytes = content.slice();
    file.change({ offset: 0, length, bytes, isPunch: false });
    file.sync(1);
    return file;
  }

  /** Bytes, whole sectors. */
  get size(): number {
    return this.#current.length * SECTOR;
  }

  /**
   * Gives it another size, durably; what it gets is a hole.
   *
   * @param size Bytes, whole sectors. Nothing was written beyond them.
   */
  resize(size: number): void {
    const sectors = size / SECTOR;
    const resized = (all: Sectors) =>
      Array.from({ length: sectors }, (_, index) => all[index]);
    this.#current = resized(this.#current);
    this.#durable = resized(this.#durable);
  }

  /** How many changes are not durable. */
  get pending(): number {
    return this.#pending.length;
  }

  /** All its bytes, as reads see them. */
  get bytes(): Uint8Array {
    const bytes = new Uint8Array(this.size);
    for (const [index, sector] of this.#current.entries()) {
      if (sector === undefined || sector === ZEROES) continue;
      bytes.set(sector, index * SECTOR);
    }
    return bytes;
  }

  /**
   * Reads.
   *
   * @param target Where the bytes go.
   * @param offset The first byte.
   */
  read(target: Uint8Array, offset: number): void {
    const end = offset + target.length;
    for (let at = offset; at < end;) {
      const index = Math.floor(at / SECTOR);
      const within = at - index * SECTOR;
      const count = Math.min(SECTOR - within, end - at);
      const sector = this.#current[index] ?? ZEROES;
      const isWhole = count === SECTOR;
      const part = isWhole ? sector : sector.subarray(within, within + count);
      target.set(part, at - offset);
      at += count;
    }
  }

  /**
   * Changes it, in the cache.
   *
   * @param change The change; its bytes are the file's from now on.
   */
  change(change: Change): void {
    apply(this.#current, change);
    this.#pending.push(change);
  }

  /**
   * Makes the first changes durable.
   *
   * @param count How many of those that are pending.
   */
  sync(count: number): void {
    for (const change of this.#pending.slice(0, count)) {
      apply(this.#durable, change);
    }
    this.#pending = this.#pending.slice(count);
  }

  /**
   * Loses the cache.
   *
   * @param survives Asked of each sector of each change.
   */
  lose(survives: () => boolean): void {
    for (const change of this.#pending) apply(this.#durable, change, survives);
    this.#pending = [];
    this.#current = [...this.#durable];
  }

  /**
   * Where the first hole of a range is.
   *
   * @param offset The first byte.
   * @param length How many.
   * @returns The first byte that has no space, or the end of the range.
   */
  hole(offset: number, length: number): number {
    const end = offset + length;
    for (let at = offset; at < end; at += SECTOR - at % SECTOR) {
      if (this.#current[Math.floor(at / SECTOR)] === undefined) return at;
    }
    return end;
  }

  /**
   * Holes and data in turn. What reads as zeroes counts as a hole, durably or
   * not: file systems say so of space that was set aside.
   *
   * @param offset The first byte.
   * @param length How many.
   * @returns The runs.
   */
  extents(offset: number, length: number): Extent[] {
    const runs: { length: number; kind: Extent["kind"] }[] = [];
    const end = offset + length;
    for (let at = offset; at < end;) {
      const stop = Math.min(end, at + SECTOR - at % SECTOR);
      const sector = this.#current[Math.floor(at / SECTOR)] ?? ZEROES;
      const kind = sector === ZEROES ? "hole" : "data";
      const last = runs.at(-1);
      if (last?.kind === kind) last.length += stop - at;
      else runs.push({ length: stop - at, kind });
      at = stop;
    }
    return runs;
  }

  /**
   * Whether another file holds the same sectors, and nothing waits in a cache.
   *
   * @param other The file.
   * @returns Whether that is so.
   */
  isSame(other: SimulatedFile): boolean {
    return this.size === other.size &&
      this.pending === 0 && other.pending === 0 &&
      this.#durable.every((sector, index) =>
        isSameSector(sector, other.#durable[index])
      );
  }

  /**
   * A copy with its own fate, which is not open.
   *
   * @returns The copy.
   */
  clone(): SimulatedFile {
    const copy = new SimulatedFile(this.path, this.size);
    copy.#current = [...this.#current];
    copy.#durable = [...this.#durable];
    copy.#pending = [...this.#pending];
    return copy;
  }
}

/** Copies share the sectors that none of them has changed. */
function isSameSector(
  one: Uint8Array | undefined,
  other: Uint8Array | undefined,
): boolean {
  if (one === other) return true;
  // What has its space is not the same as a hole.
  if (one === undefined || other === undefined) return false;
  return Buffer.compare(one, other) === 0;
}

/** Does a change, or some sectors of it. */
function apply(
  sectors: Sectors,
  { offset, length, bytes, isPunch }: Change,
  mayChange: () => boolean = () => true,
): void {
  const end = offset + length;
  for (let at = offset; at < end;) {
    const index = Math.floor(at / SECTOR);
    const stop = Math.min(end, (index + 1) * SECTOR);
    const part = bytes?.subarray(at - offset, stop - offset);
    if (mayChange()) {
      sectors[index] = stop - at === SECTOR
        ? isPunch ? undefined : wholeSector(part)
        : patched(sectors[index], at - index * SECTOR, stop - at, part);
    }
    at = stop;
  }
}

function wholeSector(bytes: Uint8Array | undefined): Uint8Array {
  if (bytes === undefined) return ZEROES;
  return Buffer.compare(bytes, ZEROES) === 0 ? ZEROES : bytes;
}

function patched(
  sector: Uint8Array | undefined,
  within: number,
  length: number,
  bytes: Uint8Array | undefined,
): Uint8Array | undefined {
  // Punching a part of a hole leaves a hole.
  if (sector === undefined && bytes === undefined) return undefined;
  const copy = (sector ?? ZEROES).slice();
  if (bytes === undefined) copy.fill(0, within, within + length);
  else copy.set(bytes, within);
  return wholeSector(copy);
}
