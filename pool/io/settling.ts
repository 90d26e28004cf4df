/**
 * Provisional mappings: a new chunk that hides another version of its virtual
 * chunk counts after a power cut only once its data are durable.
 *
 * So a flush has three steps while there are some: the data become durable; the
 * marks of the entries are cleared; the cleared marks become durable. A chunk
 * that is written between a flush and the next one waits for the next one.
 *
 * @module
 */

import { type Completion, joinParts } from "../../device/block/mod.ts";
import { SyncLines } from "../../device/leases/mod.ts";
import { type Component, flushAll } from "../core/mod.ts";
import type { PoolFormat } from "../format/mod.ts";

type Marks = Map<Component, Set<number>>;

/** The provisional mappings of an open pool. */
export class Settling {
  /** Where threads learn which flushes only the event loop can do. */
  readonly syncs: SyncLines = new SyncLines();
  readonly #format: Pick<PoolFormat, "members" | "recordSettled">;
  /** Since the last flush began. */
  #marks: Marks = new Map();
  /** Of each flush that is running. */
  readonly #running = new Set<Marks>();
  /** Ends when the flushes that are running have ended, failed or not. */
  #last: Promise<void> = Promise.resolve();

  /**
   * Creates an empty set.
   *
   * @param format The format, with the components.
   */
  constructor(format: Pick<PoolFormat, "members" | "recordSettled">) {
    this.#format = format;
  }

  /** Whether a flush has to settle mappings, or to wait for one that does. */
  get isNeeded(): boolean {
    return this.#marks.size > 0 || this.#running.size > 0;
  }

  /**
   * Adds a mapping.
   *
   * @param component The component.
   * @param chunk The chunk, whose entry was written as provisional.
   */
  add(component: Component, chunk: number): void {
    const chunks = this.#marks.get(component);
    if (chunks === undefined) this.#marks.set(component, new Set([chunk]));
    else chunks.add(chunk);
    this.syncs.isSettling = true;
  }

  /**
   * Whether a mapping is provisional.
   *
   * @param component The component.
   * @param chunk The chunk.
   * @returns Whether it is.
   */
  has(component: Component, chunk: number): boolean {
    return this.#marks.get(component)?.has(chunk) === true ||
      this.#running.values().some((marks) =>
        marks.get(component)?.has(chunk) === true
      );
  }

  /**
   * Forgets mappings whose entries end.
   *
   * @param component The component.
   * @param chunks The chunks.
   */
  forget(component: Component, chunks: readonly number[]): void {
    for (const marks of [this.#marks, ...this.#running]) {
      const its = marks.get(component);
      if (its === undefined) continue;
      for (const chunk of chunks) its.delete(chunk);
      if (its.size === 0) marks.delete(component);
    }
    this.syncs.isSettling = this.isNeeded;
  }

  /**
   * Flushes all components, and settles what is provisional now.
   *
   * @returns A promise if there is anything to flush; rejects with the first
   *   failure.
   */
  flush(): Completion {
    const devices = this.#format.members.map(({ device }) => device);
    if (!this.isNeeded) return flushAll(devices);
    const marks = this.#marks;
    this.#marks = new Map();
    this.#running.add(marks);
    // Also those that a flush before this one is about to settle.
    const before = this.#last;
    const settled = this.#settle(marks).finally(() => {
      this.#running.delete(marks);
      this.syncs.isSettling = this.isNeeded;
    });
    const both = joinParts([settled, before], (one) => one, {
      // The pool has to stop writing as soon as a flush fails.
      failsFast: true,
    });
    this.#last = both?.catch(() => {}) ?? before;
    return both;
  }

  async #settle(marks: Marks): Promise<void> {
    await this.#flushAll();
    for (const [component, chunks] of marks) {
      this.#format.recordSettled(component, [...chunks].sort((a, b) => a - b));
    }
    await this.#flushAll();
  }

  async #flushAll(): Promise<void> {
    await flushAll(this.#format.members.map(({ device }) => device));
  }
}
