/**
 * Freeing: the way of a chunk from unmapped to free.
 *
 * A chunk may be allocated again only when two things are durable: its table
 * entry is free, and it reads as zeroes. The entry is cleared in the page cache
 * first. Then a batch of chunks is zeroed, and one flush makes both durable.
 * The order between the two does not matter. After a crash the chunk is still
 * mapped, with its data or with zeroes; or it is free, and the pool zeroes it
 * before its next use unless it is a hole.
 *
 * @module
 */

import { type Completion, Slice } from "../../device/block/mod.ts";
import { messageOf, VirstorError } from "../../errors.ts";
import {
  type Component,
  type ComponentDevice,
  pause,
  PIECE_BYTES,
  PIECE_STEP_BYTES,
  turn,
} from "../core/mod.ts";

/** Steps of a slice between two looks at the clock. */
const STEPS_A_LOOK = 1;
/** The most chunks of a component in one batch. */
const CHUNKS_A_BATCH = 16_384;
/** Chunks that are handed to the allocator between two looks at the clock. */
const FREED_A_LOOK = 1024;

/** Receives the results of freeing. */
export interface FreeingObserver {
  /**
   * A chunk is free, and durably reads as zeroes.
   *
   * @param component The component of the chunk.
   * @param chunk Its number on the component.
   */
  freed(component: Component, chunk: number): void;
  /** All chunks of a batch are free, or could not be freed. */
  done(): void;
  /**
   * Chunks could not be freed; the next open frees them.
   *
   * @param error `failed` if it is unknown what is durable; else `io`.
   * @param component The component of the chunks.
   * @param count How many chunks.
   */
  failed(error: VirstorError, component: Component, count: number): void;
}

/** The batches of a component, one after the other. */
interface Run {
  /** Ends with the last batch. */
  ended: Promise<void>;
  /** Ends with the batch that is running. */
  batch: Promise<void> | undefined;
}

/**
 * Frees chunks in the background, in batches. Each component has its own, so that
 * one that does not answer holds up no other.
 */
export class Freeing {
  readonly #chunkSize: number;
  readonly #observer: FreeingObserver;
  readonly #waiting = new Map<Component, number[]>();
  readonly #runs = new Map<Component, Run>();
  /** How many chunks of each component are free, or could not be freed. */
  readonly #ended = new WeakMap<Component, number>();
  #isStopped = false;

  /**
   * Creates an empty queue.
   *
   * @param chunkSize Bytes of a chunk.
   * @param observer Receives the chunks that become free.
   */
  constructor(chunkSize: number, observer: FreeingObserver) {
    this.#chunkSize = chunkSize;
    this.#observer = observer;
  }

  /**
   * Queues chunks that are to become free.
   *
   * *Requires*: their table entries are free in the page cache, and nothing
   * reads or writes them any more.
   *
   * @param component The component of the chunks.
   * @param chunks Their numbers on it; they counted as used until now.
   */
  add(component: Component, chunks: readonly number[]): void {
    component.used -= chunks.length;
    component.releasing += chunks.length;
    component.giveBack(chunks);
    const waiting = this.#waiting.get(component);
    if (waiting === undefined) this.#waiting.set(component, [...chunks]);
    else for (const chunk of chunks) waiting.push(chunk);
    if (this.#runs.has(component)) return;
    const run: Run = { ended: Promise.resolve(), batch: undefined };
    this.#runs.set(component, run);
    run.ended = this.#run(component, run);
  }

  /**
   * Waits until the queue is empty and no batch is running.
   *
   * @returns Settles when all chunks are free, or cannot be freed.
   */
  async settle(): Promise<void> {
    for (const { ended } of [...this.#runs.values()]) await ended;
    if (this.#runs.size > 0) await this.settle();
  }

  /**
   * Waits until no chunk of a component is being freed.
   *
   * *Requires*: no further chunk of the component is queued meanwhile.
   *
   * @param component The component.
   * @returns Settles when its chunks are free, or cannot be freed.
   */
  async settled(component: Component): Promise<void> {
    while (component.releasing > 0 && this.#runs.has(component)) {
      await pause();
    }
  }

  /**
   * Waits for the chunks that are queued now.
   *
   * @returns Settles when they are free or cannot be freed; false if the queue
   *   has stopped before.
   */
  async settledSoFar(): Promise<boolean> {
    // Chunks of a component are freed in the order in which they were queued.
    const waits = [...this.#runs].map(([one, run]) => ({
      one,
      run,
      end: this.#endedOf(one) + one.releasing,
    }));
    let isFree = true;
    for (const { one, run, end } of waits) {
      const isWaiting = () => this.#endedOf(one) < end;
      while (this.#runs.get(one) === run && isWaiting()) {
        await (run.batch ?? pause());
      }
      if (isWaiting()) isFree = false;
    }
    return isFree;
  }

  /** Stops after the running batch; the next open frees the rest. */
  stop(): void {
    this.#isStopped = true;
  }

  async #run(component: Component, run: Run): Promise<void> {
    // Chunks that are queued in the same turn of the event loop share a batch.
    await Promise.resolve();
    for (
      let chunks = this.#waiting.get(component);
      chunks !== undefined && !this.#isStopped;
      chunks = this.#waiting.get(component)
    ) {
      const batch = chunks.splice(0, CHUNKS_A_BATCH);
      if (chunks.length === 0) this.#waiting.delete(component);
      run.batch = this.#free(component, batch);
      await run.batch;
      run.batch = undefined;
      this.#observer.done();
    }
    this.#runs.delete(component);
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
        component,
        chunks.length,
      );
      component.releasing -= chunks.length;
      this.#noteEnded(component, chunks.length);
      return;
    }
    const slice = new Slice(FREED_A_LOOK);
    slice.begin();
    for (const chunk of chunks) {
      component.releasing--;
      this.#noteEnded(component, 1);
      this.#observer.freed(component, chunk);
      if (!slice.spend(1)) continue;
      await turn();
      slice.begin();
    }
  }

  #endedOf(component: Component): number {
    return this.#ended.get(component) ?? 0;
  }

  #noteEnded(component: Component, count: number): void {
    this.#ended.set(component, this.#endedOf(component) + count);
  }

  /** Zeroes chunks, given in ascending order; neighbours share a call. */
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
