/**
 * Chunks that are given back: nobody's any more, and to be free again.
 *
 * A chunk may be handed out only when two things are durable: that it is
 * nobody's (its table entry is cleared) and that it reads as zeroes. Both are
 * put in the page cache first and then made durable by one flush, for as many
 * chunks at a time as have come together. The order of the two does not
 * matter: after a crash the chunk is still its old owner's, with its data or
 * zeroes, or it is free and, having data, is made ready again before its use.
 *
 * @module
 */

import { type Completion, joinParts, Slice } from "../../device/block/mod.ts";
import { messageOf, VirstorError } from "../../errors.ts";
import {
  type Component,
  type ComponentDevice,
  pause,
  PIECE_BYTES,
  PIECE_STEP_BYTES,
  turn,
} from "../core/mod.ts";

/** Steps between two looks at the clock. */
const STEPS_A_LOOK = 1;
/** Chunks of a component that are freed together. */
const CHUNKS_A_BATCH = 16_384;
/** Chunks that are handed back to the allocator without a look at the clock. */
const FREED_A_LOOK = 1024;

/** Who is told. */
export interface ReleaseObserver {
  /**
   * A chunk is free, and reads as zeroes, durably.
   *
   * @param component Where it is.
   * @param chunk Its number.
   */
  freed(component: Component, chunk: number): void;
  /** All chunks of a batch are free. */
  done(): void;
  /**
   * Chunks could not be freed; they will be by the next open.
   *
   * @param error `failed` if nobody knows any more what is durable; `io`.
   */
  failed(error: VirstorError): void;
}

/** Chunks on their way to be free. */
export class Releases {
  readonly #chunkSize: number;
  readonly #observer: ReleaseObserver;
  #waiting = new Map<Component, number[]>();
  #running: Promise<void> | undefined;
  #isStopped = false;

  /**
   * Creates an empty queue.
   *
   * @param chunkSize Bytes of a chunk.
   * @param observer Told of what becomes free.
   */
  constructor(chunkSize: number, observer: ReleaseObserver) {
    this.#chunkSize = chunkSize;
    this.#observer = observer;
  }

  /**
   * Adds chunks. Their table entries are cleared in the page cache.
   *
   * @param component Where they are.
   * @param chunks Their numbers; in use until now.
   */
  add(component: Component, chunks: readonly number[]): void {
    component.used -= chunks.length;
    component.releasing += chunks.length;
    component.givenBack++;
    const waiting = this.#waiting.get(component);
    if (waiting === undefined) this.#waiting.set(component, [...chunks]);
    else for (const chunk of chunks) waiting.push(chunk);
    this.#running ??= this.#run();
  }

  /**
   * Waits until nothing is on its way.
   *
   * @returns Done when all is free, or cannot be freed.
   */
  async settle(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  /**
   * Waits until nothing of a component is on its way. It ends if nothing more
   * is given back there.
   *
   * @param component The component.
   * @returns Done when all is free, or cannot be freed.
   */
  async settled(component: Component): Promise<void> {
    while (component.releasing > 0 && this.#running !== undefined) {
      await pause();
    }
  }

  /** Ends it after the batch that is running; the rest is freed at open. */
  stop(): void {
    this.#isStopped = true;
  }

  async #run(): Promise<void> {
    // What comes in the same turn of the event loop makes one batch.
    await Promise.resolve();
    while (this.#waiting.size > 0 && !this.#isStopped) {
      const batch = this.#nextBatch();
      await joinParts(
        batch,
        ([component, chunks]) => this.#free(component, chunks),
      );
      this.#observer.done();
    }
    this.#running = undefined;
  }

  /** Takes some of what is waiting. */
  #nextBatch(): [Component, number[]][] {
    return [...this.#waiting].map(([component, chunks]) => {
      const some = chunks.splice(-CHUNKS_A_BATCH);
      if (chunks.length === 0) this.#waiting.delete(component);
      return [component, some];
    });
  }

  async #free(component: Component, chunks: number[]): Promise<void> {
    const { device } = component;
    let mayHaveFreed = false;
    try {
      chunks.sort((a, b) => a - b);
      await this.#zero(device, chunks);
      mayHaveFreed = true;
      await device.flush();
    } catch (error) {
      const code = mayHaveFreed ? "failed" : "io";
      const what = `Cannot free chunks of "${device.path}"`;
      const cause = { cause: error };
      this.#observer.failed(
        new VirstorError(code, `${what}: ${messageOf(error)}`, cause),
      );
      component.releasing -= chunks.length;
      return;
    }
    const slice = new Slice(FREED_A_LOOK);
    slice.begin();
    for (const chunk of chunks) {
      component.releasing--;
      this.#observer.freed(component, chunk);
      if (!slice.spend(1)) continue;
      await turn();
      slice.begin();
    }
  }

  /** Zeroes chunks, in ascending order, run by run. */
  async #zero(
    device: ComponentDevice,
    chunks: readonly number[],
  ): Promise<void> {
    const size = this.#chunkSize;
    const slice = new Slice(STEPS_A_LOOK);
    slice.begin();
    for (let i = 0; i < chunks.length;) {
      const first = chunks[i] ?? 0;
      let count = 1;
      while (chunks[i + count] === first + count) count++;
      const end = (first + count) * size;
      for (let at = first * size; at < end; at += PIECE_BYTES) {
        const length = Math.min(PIECE_BYTES, end - at);
        const zeroed: Completion = device.writeZeroes(at, length);
        if (zeroed !== undefined) await zeroed;
        if (!slice.spend(1 + Math.floor(length / PIECE_STEP_BYTES))) continue;
        await turn();
        slice.begin();
      }
      i += count;
    }
  }
}
