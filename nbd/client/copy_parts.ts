/**
 * Copies the parts of a disk one by one: finds zeroes, and counts.
 *
 * @module
 */

import type { BlockDevice, Completion } from "../../device/block/mod.ts";
import { FileDevice } from "../../device/file/mod.ts";
import { startWriteBack } from "../../device/linux/mod.ts";
import type { BulkCopy } from "./bulk/mod.ts";
import { pieces, type Range } from "./pieces.ts";

/** Bytes of a piece, in which zeroes are found. */
export const PIECE_SIZE: number = 256 * 1024;
/**
 * Bytes that are written to a file before their way to its disk begins. Tuned:
 * the disk works while the copy goes on, and the flush at the end waits for the
 * last of them alone; fewer mean more calls of the system.
 */
const WRITE_BACK_EVERY = 32 * 1024 * 1024;
/** Data seldom begins with as many zeroes, bytes. */
const PEEK_SIZE = 16;

/** A part of a copy. */
export interface Part extends Range {
  /** Whether it is data, as far as is known. */
  readonly isData: boolean;
}

/** How parts are copied; see `CopyOptions`. */
export interface PartOptions {
  /** Whether the target reads as zeroes already. */
  readonly targetIsZero?: boolean;
  /** Whether data that is all zeroes counts as a hole. */
  readonly findZeroes?: boolean;
  /** Whether the target is flushed at the end. */
  readonly flush?: boolean;
  /**
   * Called as the copy goes on.
   *
   * @param done Bytes of the source that are dealt with.
   */
  readonly onProgress?: (done: number) => void;
}

/** Copies parts, and counts. */
export class PartCopier {
  /** Bytes that were written, and bytes that are zeroes. */
  readonly result: { data: number; zeroes: number } = { data: 0, zeroes: 0 };
  readonly #source: BlockDevice;
  readonly #target: BlockDevice;
  readonly #options: PartOptions;
  readonly #bulk: BulkCopy | undefined;
  readonly #buffers: Uint8Array[] = [];
  readonly #peek = new Uint8Array(PEEK_SIZE);
  /** The target, if it is a file that is to be durable at the end. */
  readonly #file: FileDevice | undefined;
  /** Bytes that were written to it since their way to its disk began. */
  #written = 0;

  /**
   * Copies nothing yet.
   *
   * @param source The disk to read.
   * @param target The disk to write.
   * @param options How to copy.
   * @param bulk Moves data, if given: one of both is a file then.
   */
  constructor(
    source: BlockDevice,
    target: BlockDevice,
    options: PartOptions,
    bulk?: BulkCopy,
  ) {
    this.#source = source;
    this.#target = target;
    this.#options = options;
    this.#bulk = bulk;
    const isFile = options.flush !== false && target instanceof FileDevice;
    this.#file = isFile ? target : undefined;
  }

  /**
   * Copies a part.
   *
   * @param part The part; data is not longer than a piece, or than the most
   *   that can be moved at once.
   */
  async run(part: Part): Promise<void> {
    if (!part.isData) await this.#zero(part.offset, part.length);
    else if (this.#bulk === undefined) await this.#copyPiece(part);
    else if (this.#bulk.writes) await this.#moveOut(this.#bulk, part);
    else await this.#moveIn(this.#bulk, part);
    const { data, zeroes } = this.result;
    this.#options.onProgress?.(data + zeroes);
  }

  /** Moves a part from the file to the export, apart from zeroes. */
  async #moveOut(bulk: BulkCopy, part: Part): Promise<void> {
    let { offset } = part;
    for (const piece of [...piecesOf(part), undefined]) {
      if (piece !== undefined && !this.#mayBeZero(piece)) continue;
      // All before this piece is data.
      const end = piece?.offset ?? part.offset + part.length;
      if (offset < end) {
        await this.#move(bulk, { offset, length: end - offset });
      }
      if (piece === undefined) break;
      await this.#copyPiece(piece);
      offset = piece.offset + piece.length;
    }
  }

  async #move(bulk: BulkCopy, range: Range): Promise<void> {
    if (await bulk.write(range.offset, range.length)) {
      this.result.data += range.length;
    } else for (const piece of piecesOf(range)) await this.#copyPiece(piece);
  }

  /** Moves a part from the export to the file. */
  async #moveIn(bulk: BulkCopy, part: Part): Promise<void> {
    const { offset, length } = part;
    const isMoved = await bulk.read(offset, length, async (bytes) => {
      for (const piece of piecesOf(part)) {
        const start = piece.offset - offset;
        const of = bytes.subarray(start, start + piece.length);
        const storing = this.#store(of, piece.offset);
        if (storing !== undefined) await storing;
      }
    });
    if (isMoved) return;
    for (const piece of piecesOf(part)) await this.#copyPiece(piece);
  }

  /** Whether a piece of the file begins with zeroes. */
  #mayBeZero({ offset, length }: Range): boolean {
    if (this.#options.findZeroes === false) return false;
    const peek = this.#peek.subarray(0, Math.min(length, PEEK_SIZE));
    // A file finishes at once.
    void this.#source.read(peek, offset);
    return isZero(peek);
  }

  async #copyPiece({ offset, length }: Range): Promise<void> {
    const buffer = this.#buffers.pop() ?? new Uint8Array(PIECE_SIZE);
    const piece = buffer.subarray(0, length);
    const reading = this.#source.read(piece, offset);
    if (reading !== undefined) await reading;
    const storing = this.#store(piece, offset);
    if (storing !== undefined) await storing;
    this.#buffers.push(buffer);
  }

  #store(piece: Uint8Array, offset: number): Completion {
    const { length } = piece;
    if (this.#options.findZeroes !== false && isZero(piece)) {
      return this.#zero(offset, length);
    }
    const writing = this.#target.write(piece, offset);
    if (writing !== undefined) {
      return writing.then(() => {
        this.result.data += length;
      });
    }
    this.result.data += length;
    if (this.#file !== undefined) this.#writeBack(this.#file, length);
  }

  #writeBack(file: FileDevice, length: number): void {
    this.#written += length;
    if (this.#written < WRITE_BACK_EVERY) return;
    this.#written = 0;
    const lent = file.lend();
    if (lent !== undefined) startWriteBack(lent.descriptor);
  }

  #zero(offset: number, length: number): Completion {
    const zeroing = this.#options.targetIsZero === true
      ? undefined
      : this.#target.writeZeroes(offset, length);
    if (zeroing !== undefined) {
      return zeroing.then(() => {
        this.result.zeroes += length;
      });
    }
    this.result.zeroes += length;
  }
}

/** Pieces begin where those of a server begin. */
function piecesOf({ offset, length }: Range): Range[] {
  const first = Math.min(length, PIECE_SIZE - offset % PIECE_SIZE);
  return [
    { offset, length: first },
    ...pieces(
      { offset: offset + first, length: length - first },
      PIECE_SIZE,
      1,
    ),
  ];
}

/**
 * Tells whether bytes are all zeroes.
 *
 * @param bytes The bytes.
 * @returns True if so.
 */
export function isZero(bytes: Uint8Array): boolean {
  // Data seldom begins with zeroes.
  const start = Math.min(bytes.length, 16);
  for (let i = 0; i < start; i++) if (bytes[i] !== 0) return false;
  const whole = bytes.length - bytes.length % 8;
  const words = new BigUint64Array(
    bytes.buffer,
    bytes.byteOffset,
    bytes.byteOffset % 8 === 0 ? whole / 8 : 0,
  );
  for (let i = 0; i < words.length; i++) if (words[i] !== 0n) return false;
  for (let i = words.length * 8; i < bytes.length; i++) {
    if (bytes[i] !== 0) return false;
  }
  return true;
}
