/**
 * What happens to writes that find no free chunk: they wait, or fail.
 *
 * @module
 */

import { VirstorError } from "../../errors.ts";
import type { FullPolicy, PoolSettings } from "../core/mod.ts";
import type { Space } from "../space/mod.ts";

/** Decides whether writes may wait, and says that they do. */
export class FullPool {
  readonly #settings: PoolSettings;
  readonly #space: Space;
  readonly #isWaiting: () => boolean;
  /** Whether it was said that writes wait. */
  #saidFull = false;

  /**
   * Starts with no write that waits.
   *
   * @param settings The pool's settings.
   * @param space The free chunks.
   * @param isWaiting Returns whether a write of any volume waits.
   */
  constructor(settings: PoolSettings, space: Space, isWaiting: () => boolean) {
    this.#settings = settings;
    this.#space = space;
    this.#isWaiting = isWaiting;
  }

  /** How many chunks can be allocated, ready or not. */
  get freeChunks(): number {
    return this.#space.free;
  }

  /**
   * Whether writes that wait fail, because nothing will become free.
   *
   * @param policy What the writes of the volume do.
   * @returns Whether they fail.
   */
  refuses(policy: FullPolicy): boolean {
    return policy === "error" && !this.#space.willBeReady;
  }

  /**
   * A write is about to wait for a chunk.
   *
   * *Requires*: {@linkcode refuses} returns false.
   *
   * @param isReserved Whether the free chunks are set aside for other volumes.
   * @returns Whether it waits because the pool is full.
   */
  admit(isReserved: boolean): boolean {
    const isFull = !this.#space.willBeReady;
    if (isFull && !this.#saidFull) {
      this.#saidFull = true;
      this.#settings.onEvent({
        kind: "delayed",
        message: `The pool is full${this.#rest(isReserved)}: writes wait ` +
          "until a component is added or space is given back",
        fullTimeoutSeconds: this.#settings.fullTimeoutSeconds,
      });
    }
    return isFull;
  }

  /** No write of a volume waits any more. */
  noneWaits(): void {
    if (!this.#saidFull || this.#isWaiting()) return;
    this.#saidFull = false;
    this.#settings.onEvent({
      kind: "resumed",
      message: "No write waits for space any more",
      freeChunks: this.#space.free,
    });
  }

  /**
   * Makes the error for a write, or other work, that finds no chunk.
   *
   * @param isReserved Whether the free chunks are set aside for other volumes.
   * @param what What fails, as in `flatten volume "vm/a"`; a write unless given.
   * @returns The error, with code `no-space`.
   */
  error(isReserved: boolean, what?: string): VirstorError {
    const { name } = this.#settings;
    const failed = what === undefined ? "write to" : `${what} in`;
    return new VirstorError(
      "no-space",
      `Cannot ${failed} pool "${name}": it is full${this.#rest(isReserved)}`,
    );
  }

  #rest(isReserved: boolean): string {
    return isReserved && this.#space.free > 0
      ? ", what is free is reserved for other volumes"
      : "";
  }
}
