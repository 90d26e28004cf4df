/**
 * Which chunks of a pool other threads may read and write by themselves: those
 * that are mapped and stay where they are. The forward map withdraws a lease
 * before a mapping changes, so that no caller has to.
 *
 * @module
 */

import {
  addCounts,
  type LeaseMemory,
  type Leases,
  LeaseTable,
} from "../../device/leases/mod.ts";
import { VirstorError } from "../../errors.ts";
import type {
  ChunkView,
  ForwardMap,
  Health,
  PoolCounters,
} from "../core/mod.ts";
import type { FirstWrites } from "./first_writes.ts";
import { giveBackAhead } from "./give_back.ts";
import type { VolumeParts } from "./pool_parts.ts";
import { readableOf } from "./readable_views.ts";
import { isAllRemote } from "./remote_waits.ts";

/**
 * Of the chunks that the volume may still take, at most one in so many is mapped
 * ahead: a lane must not fill the pool with chunks that nothing is written to.
 */
const AHEAD_SHARE = 16;

/** What a pool lends. */
export class PoolLeases implements Leases {
  readonly #parts: VolumeParts;
  readonly #map: ForwardMap;
  readonly #viewed: { readonly view: ChunkView };
  readonly #chunkSize: number;
  readonly #health: () => Health;
  readonly #firstWrites: FirstWrites;
  readonly #table: LeaseTable;

  /**
   * Begins with no lease.
   *
   * @param parts The open pool.
   * @param health Tells whether the volume takes requests.
   */
  constructor(parts: VolumeParts, health: () => Health) {
    const { map, firstWrites, base } = parts;
    const { chunkSize, readOnly } = base.settings;
    this.#parts = parts;
    this.#health = health;
    this.#firstWrites = firstWrites;
    this.#map = map;
    this.#viewed = readableOf(parts);
    this.#chunkSize = chunkSize;
    const { state } = health();
    const isWritable = !readOnly && !parts.record.isReadOnly &&
      state === "open";
    this.#table = new LeaseTable(chunkSize, isWritable, base.settling.syncs);
    base.readers.add(this.#table);
    if (state === "closed") this.end();
    map.leases = this.#table;
  }

  /** What the threads need. */
  get memory(): LeaseMemory {
    return this.#table.memory;
  }

  /**
   * Adds what was done under leases so far.
   *
   * @param counters What was done else.
   */
  addWork(counters: PoolCounters): void {
    addCounts(counters, this.#table.work);
  }

  /**
   * Takes part, for one thread.
   *
   * @returns Its number, or undefined if there are too many, or a thread would
   *   be of no use.
   */
  join(): number | undefined {
    return isAllRemote(this.#parts.base) ? undefined : this.#table.join();
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
   * Leases a chunk, if it is mapped and not about to be moved; for reads only if
   * it is shared, or the parent's.
   *
   * @param offset Any byte of it, also beyond the disk.
   */
  grant(offset: number): void {
    const map = this.#map;
    const chunk = Math.floor(offset / this.#chunkSize);
    if (chunk >= map.virtualChunks || map.pinned.has(chunk)) return;
    const isShared = map.writable(chunk) === undefined;
    // While a component is evacuated, writes go through what moves its chunks.
    const { view } = this.#viewed;
    if (view.component(chunk)?.moves !== undefined) return;
    grantView(this.#table, view, chunk, isShared);
  }

  /**
   * Maps chunks that are about to be written to, and leases them, as far as
   * both can be done at once. Until they are written to they read as zeroes.
   * While the file system of the next chunk refuses writes, the pool maps no
   * chunk ahead: a write that finds no space there must leave its chunk free.
   *
   * @param offsets Any byte of each chunk, also beyond the disk.
   * @returns Whether all are mapped.
   */
  prepare(...offsets: readonly number[]): boolean {
    const { mapper } = this.#parts.base;
    let isAll = false;
    try {
      this.#health().assertWritable();
      mapper.mapTogether(() => {
        isAll = offsets.every((offset) => this.#mapAsked(offset));
      });
    } catch (error) {
      // The write itself will fail, and say why.
      if (error instanceof VirstorError) return false;
      throw error;
    }
    // Not before their entries are in the page cache.
    for (const offset of offsets) this.grant(offset);
    return isAll;
  }

  /**
   * Maps chunks that will probably be written to next, and leases them. Those
   * that are mapped already are leased only.
   *
   * @param offset Any byte of the first one, also beyond the disk.
   * @param count How many, at most.
   * @returns How many of them are leased.
   */
  mapAhead(offset: number, count: number): number {
    const first = Math.floor(offset / this.#chunkSize);
    const { mapper } = this.#parts.base;
    const mapped: number[] = [];
    let end = first;
    try {
      this.#health().assertWritable();
      let left = this.#mayMapAhead();
      mapper.mapTogether(() => {
        for (; end < first + count && end < this.#map.virtualChunks; end++) {
          if (this.#map.writable(end) !== undefined) continue;
          if (left-- <= 0 || !this.#mapChunk(end)) break;
          mapped.push(end);
        }
      });
    } catch (error) {
      if (error instanceof VirstorError) return 0;
      throw error;
    }
    for (let v = first; v < end; v++) this.grant(v * this.#chunkSize);
    for (const v of mapped) {
      this.#table.markUnwritten(v);
      this.#map.ahead.add(v);
    }
    return end - first;
  }

  /**
   * Unmaps chunks that were mapped ahead and hold no data.
   *
   * @param offset Any byte of the first one, also beyond the disk.
   * @param count How many.
   */
  giveBack(offset: number, count: number): void {
    // Also where the volume is read-only by now: its clients see no difference.
    if (this.#health().state !== "open") return;
    const first = Math.floor(offset / this.#chunkSize);
    const end = Math.min(first + count, this.#map.virtualChunks);
    const chunks = Array.from(
      { length: Math.max(0, end - first) },
      (_, i) => first + i,
    );
    giveBackAhead(this.#parts, chunks);
  }

  /** How many chunks may be mapped that no client has asked for. */
  #mayMapAhead(): number {
    const { base: { mapper, format } } = this.#parts;
    const component = format.isDense ? undefined : mapper.fresh();
    const { blanks, lend } = component?.device ?? {};
    if (component === undefined || lend === undefined) return 0;
    // What would not be known to hold no data could not be given back.
    const at = component.next * this.#chunkSize;
    if (blanks?.isBlank(at, this.#chunkSize) !== true) return 0;
    const { freeChunks, quotaLeft } = this.#firstWrites.limits;
    return Math.floor(Math.min(freeChunks, quotaLeft) / AHEAD_SHARE);
  }

  #mapAsked(offset: number): boolean {
    const chunk = Math.floor(offset / this.#chunkSize);
    return chunk < this.#map.virtualChunks && this.#mapChunk(chunk);
  }

  #mapChunk(chunk: number): boolean {
    if (this.#parts.base.mapper.fresh()?.refusal !== undefined) return false;
    return this.#firstWrites.mapNow(chunk);
  }

  /**
   * Forbids writes of other threads, or allows them again.
   *
   * *Ensures*: if they are forbidden, no thread writes under a lease that was
   * granted before.
   *
   * @param isReadOnly Whether they are forbidden.
   */
  setReadOnly(isReadOnly: boolean): void {
    if (isReadOnly) {
      this.#table.forbidWrites();
      this.#table.withdrawAll();
    } else if (
      this.#health().state === "open" && !this.#parts.base.settings.readOnly
    ) this.#table.allowWrites();
  }

  /** Withdraws all leases, for ever. */
  end(): void {
    this.#table.end();
    this.#parts.base.readers.delete(this.#table);
  }
}

/**
 * Leases a chunk where a view sees it, if it does.
 *
 * @param table The leases.
 * @param view The view.
 * @param chunk The virtual chunk.
 * @param isReadOnly Whether the lease is for reads only.
 */
export function grantView(
  table: LeaseTable,
  view: ChunkView,
  chunk: number,
  isReadOnly: boolean,
): void {
  const component = view.component(chunk);
  const lent = component?.device.lend?.();
  if (component === undefined || lent === undefined) return;
  table.grant(chunk, component.id, lent, view.chunk(chunk), isReadOnly);
}
