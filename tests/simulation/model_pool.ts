/**
 * What a pool promises, and no more: for each block of the virtual disk the
 * contents that it may have.
 *
 * Blocks are told apart by the number of the write that filled them, 0 for
 * zeroes; the bytes follow from the number and the block.
 *
 * @module
 */

/** Bytes of a block: the unit that is old or new. */
export const BLOCK = 512;

/** The contents that a disk may have. */
export class ModelPool {
  /** What each block holds as long as nothing is cut off. */
  readonly #now: Set<number>[];
  /** What each block may hold after a power cut. */
  readonly #durable: Set<number>[];

  /**
   * Creates a disk of zeroes.
   *
   * @param blocks How many blocks.
   */
  constructor(blocks: number) {
    this.#now = Array.from({ length: blocks }, () => new Set([0]));
    this.#durable = this.#now.map((one) => new Set(one));
  }

  /** How many blocks. */
  get blocks(): number {
    return this.#now.length;
  }

  /**
   * A write was acknowledged, or was begun and may be done or not.
   *
   * @param first Its first block.
   * @param count How many.
   * @param content Its number; 0 for zeroes.
   * @param acknowledged Whether it is certain.
   */
  write(
    first: number,
    count: number,
    content: number,
    acknowledged: boolean,
  ): void {
    for (let block = first; block < first + count; block++) {
      if (acknowledged) this.#now[block] = new Set([content]);
      else this.#now[block]?.add(content);
      this.#durable[block]?.add(content);
    }
  }

  /** A flush was acknowledged: what there is now is what there will be. */
  flush(): void {
    for (const [block, contents] of this.#now.entries()) {
      this.#durable[block] = new Set(contents);
    }
  }

  /** The power went: what was not flushed may be lost. */
  lose(): void {
    for (const [block, contents] of this.#durable.entries()) {
      this.#now[block] = new Set(contents);
    }
  }

  /**
   * The machine is up again: what was found is what there is, for good.
   *
   * @param found The content of each block.
   */
  restart(found: readonly number[]): void {
    for (const [block, content] of found.entries()) {
      this.#now[block] = new Set([content]);
      this.#durable[block] = new Set([content]);
    }
  }

  /**
   * A copy that goes its own way.
   *
   * @returns The copy.
   */
  clone(): ModelPool {
    const copy = new ModelPool(0);
    copy.#now.push(...this.#now.map((one) => new Set(one)));
    copy.#durable.push(...this.#durable.map((one) => new Set(one)));
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
}

/**
 * The bytes of a block.
 *
 * @param content The number of the write; 0 for zeroes.
 * @param block The block's number.
 * @param target 512 bytes.
 */
export function fillBlock(
  content: number,
  block: number,
  target: Uint8Array,
): void {
  target.fill(content === 0 ? 0 : 1 + (content * 7 + block) % 251);
  if (content === 0) return;
  const view = new DataView(target.buffer, target.byteOffset, 12);
  view.setUint32(0, 0xb10c_b10c);
  view.setUint32(4, content);
  view.setUint32(8, block);
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
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const isStamped = view.getUint32(0) === 0xb10c_b10c;
  const content = isStamped ? view.getUint32(4) : 0;
  const wanted = new Uint8Array(BLOCK);
  fillBlock(content, block, wanted);
  return bytes.every((byte, i) => byte === wanted[i]) ? content : -1;
}
