/**
 * Copies disks: several pieces at once, and only what is data.
 *
 * @module
 */

import type { BlockDevice, Extent } from "../../device/block/mod.ts";
import { inBytes, VirstorError } from "../../errors.ts";
import { NbdDisk } from "./nbd_disk.ts";
import { pieces } from "./pieces.ts";

/** Bytes of a piece. */
const PIECE_SIZE = 256 * 1024;
/** Pieces in flight at once. */
const PIECES_MAX = 32;
/** Bytes to ask about at once: the answer is short, and soon there. */
const STATUS_RANGE = 1024 * 1024 * 1024;

/** Options of a copy. */
export interface CopyOptions {
  /**
   * What to copy, in order and inside the source. The rest of the target stays
   * as it is. Default: all of the source.
   */
  readonly ranges?: readonly {
    readonly offset: number;
    readonly length: number;
  }[];
  /**
   * Whether the target reads as zeroes already: then holes are left out.
   * Default: false, zeroes are written there.
   */
  readonly targetIsZero?: boolean;
  /** Whether data that is all zeroes counts as a hole. Default: true. */
  readonly findZeroes?: boolean;
  /** Whether to flush the target at the end. Default: true. */
  readonly flush?: boolean;
  /**
   * Called as the copy goes on.
   *
   * @param done Bytes of the source that are dealt with.
   */
  readonly onProgress?: (done: number) => void;
  /** Ends the copy early, with code `cancelled`. */
  readonly signal?: AbortSignal;
}

/** What a copy did. */
export interface CopyResult {
  /** Bytes of data that were written. */
  readonly data: number;
  /** Bytes that were zeroed, or left out because they are zeroes. */
  readonly zeroes: number;
}

/** A part of a copy. */
interface Part {
  readonly offset: number;
  readonly length: number;
  readonly isData: boolean;
}

/**
 * Copies all of one disk, or ranges of it, to the same place on another.
 *
 * *Requires:* the target is not smaller.
 *
 * @param source The disk to read.
 * @param target The disk to write.
 * @param options How to copy.
 * @returns What was copied.
 * @throws {VirstorError} `invalid` if the target is smaller, or what reading or
 *   writing throws; then the target holds any part of the copy.
 */
export async function copyDisk(
  source: BlockDevice,
  target: BlockDevice,
  options: CopyOptions = {},
): Promise<CopyResult> {
  if (target.size < source.size) {
    throw new VirstorError(
      "invalid",
      `Cannot copy ${inBytes(source.size)} to a disk of ` +
        inBytes(target.size),
    );
  }
  const result = { data: 0, zeroes: 0 };
  const copy = new Copy(source, target, options, result);
  await inParallel(partsOf(source, options), PIECES_MAX, (part) => {
    return copy.run(part);
  });
  if (options.flush !== false) await target.flush();
  return result;
}

/** Copies parts, and counts. */
class Copy {
  readonly #source: BlockDevice;
  readonly #target: BlockDevice;
  readonly #options: CopyOptions;
  readonly #result: { data: number; zeroes: number };
  readonly #buffers: Uint8Array[] = [];

  constructor(
    source: BlockDevice,
    target: BlockDevice,
    options: CopyOptions,
    result: { data: number; zeroes: number },
  ) {
    this.#source = source;
    this.#target = target;
    this.#options = options;
    this.#result = result;
  }

  async run({ offset, length, isData }: Part): Promise<void> {
    if (isData) await this.#copyData(offset, length);
    else await this.#zero(offset, length);
    const { data, zeroes } = this.#result;
    this.#options.onProgress?.(data + zeroes);
  }

  async #copyData(offset: number, length: number): Promise<void> {
    const buffer = this.#buffers.pop() ?? new Uint8Array(PIECE_SIZE);
    const piece = buffer.subarray(0, length);
    const reading = this.#source.read(piece, offset);
    if (reading !== undefined) await reading;
    if (this.#options.findZeroes !== false && isZero(piece)) {
      await this.#zero(offset, length);
    } else {
      const writing = this.#target.write(piece, offset);
      if (writing !== undefined) await writing;
      this.#result.data += length;
    }
    this.#buffers.push(buffer);
  }

  async #zero(offset: number, length: number): Promise<void> {
    if (this.#options.targetIsZero !== true) {
      await this.#target.writeZeroes(offset, length);
    }
    this.#result.zeroes += length;
  }
}

/** Pieces of data, and runs of zeroes, in order. */
async function* partsOf(
  source: BlockDevice,
  { ranges = [{ offset: 0, length: source.size }], signal }: CopyOptions,
): AsyncGenerator<Part> {
  for (
    const asked of ranges.flatMap((range) => pieces(range, STATUS_RANGE, 1))
  ) {
    let { offset } = asked;
    for (const run of await extentsOf(source, offset, asked.length)) {
      const end = offset + run.length;
      const isData = run.kind === "data";
      while (offset < end) {
        if (signal?.aborted) {
          throw new VirstorError("cancelled", "The copy is cancelled");
        }
        // Pieces begin where those of a server begin.
        const most = isData ? PIECE_SIZE - offset % PIECE_SIZE : Infinity;
        const length = Math.min(end - offset, most);
        yield { offset, length, isData };
        offset += length;
      }
    }
  }
}

async function extentsOf(
  source: BlockDevice,
  offset: number,
  length: number,
): Promise<Extent[]> {
  return source instanceof NbdDisk
    ? await source.blockStatus(offset, length)
    : source.extents(offset, length);
}

/**
 * Runs something for each item, several at once.
 *
 * @param items The items.
 * @param most How many at once.
 * @param run Runs something for an item.
 * @throws What the first that fails throws, when all that began have ended.
 */
export async function inParallel<T>(
  items: AsyncGenerator<T>,
  most: number,
  run: (item: T) => Promise<void>,
): Promise<void> {
  const running = new Set<Promise<void>>();
  let failure: { readonly error: unknown } | undefined;
  try {
    for await (const item of items) {
      const one = run(item)
        .catch((error) => {
          failure ??= { error };
        })
        .finally(() => running.delete(one));
      running.add(one);
      if (running.size >= most) await Promise.race(running);
      if (failure !== undefined) break;
    }
  } catch (error) {
    failure ??= { error };
  }
  await Promise.allSettled(running);
  if (failure !== undefined) throw failure.error;
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
