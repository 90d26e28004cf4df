/**
 * What a pool promises, and no more: for each block of the virtual disk the
 * contents that it may have.
 *
 * Blocks are distinguished by the number of the write that filled them, 0 for
 * zeroes; the bytes follow from the number and the block.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { type Outcome, Register, type Setting } from "./register.ts";

/** Bytes of a block: the unit that is old or new. */
export const BLOCK = 512;

/** Numbers of writes. Never changed: copies of a model share them. */
type Contents = ReadonlySet<number>;

const ZERO: Contents = new Set([0]);
/** What the bytes of a write begin with. */
const STAMP = 0xb10c_b10c;
const ZEROES = new Uint8Array(BLOCK);
/** Where the bytes of a block are made, to compare another one with them. */
const wanted = new Uint8Array(BLOCK);

/** A write that was begun, or a discard. */
export interface ModelWrite {
  /** Its first block. */
  readonly first: number;
  /** How many blocks. */
  readonly count: number;
  /** Its number; 0 for zeroes. */
  readonly content: number;
  /** What else was under way: it is unknown which of them came first. */
  readonly rivals: Set<ModelWrite>;
}

/** A flush that was begun. */
export interface ModelFlush {
  /** What each block may hold after a power cut once it is done. */
  readonly contents: Contents[];
}

/** A read that was begun. */
export interface ModelRead {
  /** The first block. */
  readonly first: number;
  /** What each block may have held since then. */
  readonly contents: Set<number>[];
}

/** The contents that a disk may have. */
export class ModelPool {
  /** What each block holds as long as nothing is interrupted. */
  readonly #now: Contents[];
  /** What each block may hold after a power cut. */
  readonly #durable: Contents[];
  /** How many blocks there may be. */
  #sizes: Register<number>;
  readonly #writes = new Set<ModelWrite>();
  readonly #flushes = new Set<ModelFlush>();
  readonly #reads = new Set<ModelRead>();

  /**
   * Creates a disk of zeroes.
   *
   * @param blocks How many blocks.
   */
  constructor(blocks: number) {
    this.#now = new Array<Contents>(blocks).fill(ZERO);
    this.#durable = [...this.#now];
    this.#sizes = new Register(blocks);
  }

  /** How many blocks; while that changes, how many there were. */
  get blocks(): number {
    return this.#sizes.settled;
  }

  /**
   * A write is begun. From now on it may be seen.
   *
   * @param first Its first block.
   * @param count How many.
   * @param content Its number; 0 for zeroes, and for discards.
   * @returns The write.
   */
  begin(first: number, count: number, content: number): ModelWrite {
    const write = { first, count, content, rivals: new Set<ModelWrite>() };
    for (let block = first; block < first + count; block++) {
      // A connection may not know yet that the disk has become smaller.
      if (block >= this.#now.length) break;
      this.#now[block] = plus(this.#now[block], content);
      this.#durable[block] = plus(this.#durable[block], content);
      for (const { contents } of this.#flushes) {
        contents[block] = plus(contents[block], content);
      }
      for (const read of this.#reads) {
        read.contents[block - read.first]?.add(content);
      }
    }
    for (const other of this.#writes) {
      write.rivals.add(other);
      other.rivals.add(write);
    }
    this.#writes.add(write);
    return write;
  }

  /**
   * A write is over.
   *
   * @param write The write.
   * @param how `done`; `maybe`: a discard, or something failed in the middle;
   *   `durable`: done, and no power cut takes it back.
   */
  end(write: ModelWrite, how: "done" | "maybe" | "durable"): void {
    const isKnown = this.#writes.delete(write);
    if (how === "maybe" || !isKnown) return;
    const { first, count, content } = write;
    for (let block = first; block < first + count; block++) {
      let contents: Contents = content === 0 ? ZERO : new Set([content]);
      for (const rival of write.rivals) {
        const isElsewhere = block < rival.first ||
          block >= rival.first + rival.count;
        if (!isElsewhere) contents = plus(contents, rival.content);
      }
      if (block >= this.#now.length) {
        // The disk has become smaller meanwhile.
        if (contents.has(0)) continue;
        throw lostError(block, contents, this.#now.length);
      }
      this.#now[block] = contents;
      if (how === "durable") this.#durable[block] = contents;
    }
  }

  /**
   * A flush is begun: it covers what was done so far.
   *
   * @returns The flush.
   */
  beginFlush(): ModelFlush {
    const flush = { contents: [...this.#now] };
    this.#flushes.add(flush);
    return flush;
  }

  /**
   * A flush is over.
   *
   * @param flush The flush.
   * @param isDone Whether it was acknowledged.
   */
  endFlush(flush: ModelFlush, isDone: boolean): void {
    const isKnown = this.#flushes.delete(flush);
    if (!isDone || !isKnown) return;
    this.#durable.splice(0, Infinity, ...flush.contents);
    this.#fit();
  }

  /**
   * A read is begun.
   *
   * @param first The first block.
   * @param count How many.
   * @returns The read.
   */
  beginRead(first: number, count: number): ModelRead {
    const contents = Array.from(
      { length: count },
      (_, i) => new Set(this.allowed(first + i)),
    );
    const read = { first, contents };
    this.#reads.add(read);
    return read;
  }

  /**
   * A read is over.
   *
   * @param read The read.
   */
  endRead(read: ModelRead): void {
    this.#reads.delete(read);
  }

  /** Everything was made durable, and nothing is under way. */
  flush(): void {
    this.endFlush(this.beginFlush(), true);
  }

  /**
   * The disk is given another size, durably. Until that is acknowledged it may
   * have either.
   *
   * @param blocks How many blocks it is to have.
   * @returns The request.
   */
  beginResize(blocks: number): Setting<number> {
    const resize = this.#sizes.begin(blocks);
    this.#fit();
    return resize;
  }

  /**
   * A resize is over.
   *
   * @param resize The resize.
   * @param outcome What became of it.
   * @throws {Error} If the disk became smaller although a block beyond its new
   *   end holds what was acknowledged.
   */
  endResize(resize: Setting<number>, outcome: Outcome): void {
    this.#sizes.end(resize, outcome);
    const end = Math.max(...this.#sizes.allowed);
    for (let block = end; block < this.#now.length; block++) {
      const contents = this.#now[block];
      if (contents?.has(0) === false) throw lostError(block, contents, end);
    }
    this.#fit();
  }

  /** The process is gone: what is in flight never ends. */
  abandon(): void {
    this.#writes.clear();
    this.#flushes.clear();
    this.#reads.clear();
    this.#sizes = this.#sizes.clone();
  }

  /** The power went: what was not flushed may be lost. */
  lose(): void {
    this.#now.splice(0, Infinity, ...this.#durable);
  }

  /**
   * The machine is up again: what was found is what there is, for good.
   *
   * @param found The content of each block.
   */
  restart(found: readonly number[]): void {
    this.#sizes.settle(found.length);
    this.#fit();
    for (const [block, content] of found.entries()) {
      this.#now[block] = content === 0 ? ZERO : new Set([content]);
    }
    this.flush();
  }

  /**
   * A copy that goes its own way; what is under way never ends there.
   *
   * @returns The copy.
   */
  clone(): ModelPool {
    const copy = new ModelPool(0);
    copy.#now.push(...this.#now);
    copy.#durable.push(...this.#durable);
    copy.#sizes = this.#sizes.clone();
    return copy;
  }

  /**
   * What a block may hold.
   *
   * @param block Its number.
   * @returns The numbers of the writes it may show.
   */
  allowed(block: number): ReadonlySet<number> {
    return this.#now[block] ?? new Set();
  }

  /** How many blocks there may be; first, how many there were. */
  get sizes(): Iterable<number> {
    return this.#sizes.allowed;
  }

  /**
   * Whether the disk may have a size.
   *
   * @param blocks How many blocks.
   * @returns Whether it may.
   */
  mayHave(blocks: number): boolean {
    return this.#sizes.allowed.has(blocks);
  }

  /** Zeroes, or what is in flight to where the disk had ended. */
  #newBlock(block: number): Contents {
    let contents = ZERO;
    for (const { first, count, content } of this.#writes) {
      const isInside = block >= first && block < first + count;
      if (isInside) contents = plus(contents, content);
    }
    return contents;
  }

  /** What lies beyond the end is gone; what is new reads as zeroes. */
  #fit(): void {
    const blocks = Math.max(...this.#sizes.allowed);
    const flushed = [...this.#flushes].map(({ contents }) => contents);
    for (const contents of [this.#now, this.#durable, ...flushed]) {
      contents.splice(blocks);
      while (contents.length < blocks) {
        contents.push(this.#newBlock(contents.length));
      }
    }
  }
}

function lostError(block: number, contents: Contents, end: number): Error {
  return new Error(
    `Block ${block} holds write ${[
      ...contents,
    ]}, which was acknowledged, and ` +
      `the disk was made to end at block ${end}`,
  );
}

function plus(contents: Contents | undefined, content: number): Contents {
  if (contents?.has(content) === true) return contents;
  return new Set([...contents ?? [], content]);
}

/**
 * The bytes of a block.
 *
 * @param content The number of the write; 0 for zeroes.
 * @param block The block's number.
 * @param target 512 bytes.
 */
function fillBlock(
  content: number,
  block: number,
  target: Uint8Array,
): void {
  target.fill(content === 0 ? 0 : 1 + (content * 7 + block) % 251);
  if (content === 0) return;
  const view = new DataView(target.buffer, target.byteOffset, 12);
  view.setUint32(0, STAMP);
  view.setUint32(4, content);
  view.setUint32(8, block);
}

/**
 * The bytes of blocks that follow each other.
 *
 * @param content The number of the write; 0 for zeroes.
 * @param first The number of the first block.
 * @param count How many.
 * @returns Their bytes.
 */
export function filledBlocks(
  content: number,
  first: number,
  count: number,
): Uint8Array {
  const bytes = new Uint8Array(count * BLOCK);
  for (let i = 0; i < count; i++) {
    const block = bytes.subarray(i * BLOCK, (i + 1) * BLOCK);
    fillBlock(content, first + i, block);
  }
  return bytes;
}

/**
 * Which write filled a block.
 *
 * @param block The block's number.
 * @param bytes What it holds.
 * @returns The number of the write, 0 for zeroes, or -1 if it holds anything
 *   else: a mixture, another block's bytes, rubbish.
 */
export function contentOf(block: number, bytes: Uint8Array): number {
  // Most blocks are zeroes. Making any view costs more than comparing them.
  if (bytes[0] === 0) return Buffer.compare(bytes, ZEROES) === 0 ? 0 : -1;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const content = view.getUint32(0) === STAMP ? view.getUint32(4) : 0;
  fillBlock(content, block, wanted);
  return Buffer.compare(bytes, wanted) === 0 ? content : -1;
}
