/**
 * Which chunks of a snapshot other threads may read by themselves: all that it
 * has. What a snapshot sees never changes, but it may move: the forward map
 * withdraws the lease before the place changes.
 *
 * @module
 */

import {
  type LeaseMemory,
  type Leases,
  LeaseTable,
} from "../../device/leases/mod.ts";
import type { ChunkView } from "../core/mod.ts";
import { grantView } from "./pool_leases.ts";
import type { PoolBase } from "./pool_parts.ts";
import { isAllRemote } from "./remote_waits.ts";

/** What a snapshot lends. */
export class SnapshotLeases implements Leases {
  readonly #base: PoolBase;
  readonly #view: ChunkView;
  readonly #table: LeaseTable;

  /**
   * Begins with no lease.
   *
   * @param base The open pool.
   * @param view What the snapshot sees.
   */
  constructor(base: PoolBase, view: ChunkView) {
    this.#base = base;
    this.#view = view;
    this.#table = new LeaseTable(base.settings.chunkSize, false);
    base.readers.add(this.#table);
  }

  /** What the threads need. */
  get memory(): LeaseMemory {
    return this.#table.memory;
  }

  /**
   * Takes part, for one thread.
   *
   * @returns Its number, or undefined if there are too many, or a thread would
   *   be of no use.
   */
  join(): number | undefined {
    return isAllRemote(this.#base) ? undefined : this.#table.join();
  }

  /**
   * Takes part no more.
   *
   * @param thread The number of a thread that uses no lease any more.
   */
  leave(thread: number): void {
    this.#table.leave(thread);
  }

  /**
   * Leases a chunk for reads, if the snapshot has it.
   *
   * @param offset Any byte of it, also beyond the disk.
   */
  grant(offset: number): void {
    const chunk = Math.floor(offset / this.#base.settings.chunkSize);
    if (chunk >= this.#view.virtualChunks) return;
    grantView(this.#table, this.#view, chunk, true);
  }

  /**
   * Maps nothing.
   *
   * @returns False: a snapshot takes no writes.
   */
  prepare(): boolean {
    return false;
  }

  /**
   * Maps nothing.
   *
   * @returns 0.
   */
  mapAhead(): number {
    return 0;
  }

  /** Does nothing: nothing was mapped ahead. */
  giveBack(): void {}

  /** Withdraws all leases, for ever. */
  end(): void {
    this.#table.end();
    this.#base.readers.delete(this.#table);
  }
}
