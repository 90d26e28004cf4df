/**
 * Which chunks of a pool other threads may read and write by themselves: those
 * that are mapped and stay where they are. The forward map withdraws a lease
 * before a mapping changes, so that nobody can forget to.
 *
 * @module
 */

import { joinParts } from "../../device/block/mod.ts";
import {
  type LeaseMemory,
  type Leases,
  LeaseTable,
  LENT_FILES_MAX,
  type LentFlush,
} from "../../device/leases/mod.ts";
import { VirstorError } from "../../errors.ts";
import type {
  Component,
  ForwardMap,
  Health,
  PoolCounters,
} from "../core/mod.ts";
import type { PoolFormat } from "../format/mod.ts";
import type { FirstWrites } from "./first_writes.ts";
import type { PoolParts } from "./pool_parts.ts";

/** What a pool lends. */
export class PoolLeases implements Leases {
  readonly #map: ForwardMap;
  readonly #chunkSize: number;
  readonly #health: Health;
  readonly #firstWrites: FirstWrites;
  readonly #table: LeaseTable;
  readonly #format: PoolFormat;
  readonly #onFlush: (ended: Promise<void>) => void;

  /**
   * Begins with no lease.
   *
   * @param parts The open pool.
   * @param health Whether it takes requests.
   * @param onFlush Called with each flush that is lent: the promise rejects if
   *   it fails, and the pool has to stop writing.
   */
  constructor(
    parts: PoolParts,
    health: Health,
    onFlush: (ended: Promise<void>) => void,
  ) {
    const { map, firstWrites, settings: { chunkSize, readOnly } } = parts;
    this.#format = parts.format;
    this.#onFlush = onFlush;
    this.#health = health;
    this.#firstWrites = firstWrites;
    this.#map = map;
    this.#chunkSize = chunkSize;
    const isWritable = !readOnly && health.state === "open";
    this.#table = new LeaseTable(chunkSize, isWritable);
    if (health.state === "closed") this.#table.end();
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
    const { reads, bytesRead, writes, bytesWritten } = this.#table.work;
    counters.reads += reads;
    counters.readBytes += bytesRead;
    counters.writes += writes;
    counters.writtenBytes += bytesWritten;
  }

  /**
   * Takes part, for one thread.
   *
   * @returns Its number, or undefined if there are too many.
   */
  join(): number | undefined {
    return this.#table.join();
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
   * Leases a chunk, if it is mapped and not about to be moved.
   *
   * @param offset Any byte of it, also beyond the disk.
   */
  grant(offset: number): void {
    const map = this.#map;
    const chunk = Math.floor(offset / this.#chunkSize);
    if (chunk >= map.virtualChunks || map.pinned.has(chunk)) return;
    const component = map.component(chunk);
    if (component === undefined) return;
    // While a component is evacuated, writes go through what moves its chunks.
    if (component.data !== component.device) return;
    const lent = component.device.lend?.();
    if (lent === undefined) return;
    this.#table.grant(chunk, component.id, lent, map.chunk(chunk));
  }

  /**
   * Maps a chunk that is about to be written to, and leases it, if both can be
   * done at once. Until it is written to it reads as zeroes.
   *
   * @param offset Any byte of it, also beyond the disk.
   * @returns Whether it is mapped.
   */
  prepare(offset: number): boolean {
    const chunk = Math.floor(offset / this.#chunkSize);
    if (chunk >= this.#map.virtualChunks) return false;
    try {
      this.#health.assertWritable();
      // A write that finds no space on the host must leave its chunk free.
      if (this.#format.members.some(({ refusal }) => refusal !== undefined)) {
        return false;
      }
      if (!this.#firstWrites.mapNow(chunk)) return false;
    } catch (error) {
      // The write itself will fail, and say why.
      if (error instanceof VirstorError) return false;
      throw error;
    }
    this.grant(offset);
    return true;
  }

  /**
   * Tells components what was written under leases, so that a flush that
   * begins afterwards covers it.
   *
   * @param members The components.
   */
  settleWrites(members: readonly Component[]): void {
    for (const { id, device } of members) {
      if (this.#table.takeWritten(id)) device.touched?.();
    }
  }

  /**
   * Begins a flush that a thread carries out, of all components as one.
   *
   * @returns The flush; undefined if the pool has failed, if one of the
   *   components is being flushed already, or cannot be by another thread.
   */
  lendFlush(): LentFlush | undefined {
    const { members } = this.#format;
    if (this.#health.state !== "open") return undefined;
    const may = members.every(({ device }) => device.maySyncElsewhere === true);
    if (!may || members.length > LENT_FILES_MAX) return undefined;
    // Nothing is awaited from here on: what is settled is what is flushed.
    this.settleWrites(members);
    const syncs = members.flatMap(({ device }) =>
      device.syncElsewhere?.() ?? []
    );
    const ended = joinParts(syncs, ({ ended }) => ended, { failsFast: true });
    if (ended !== undefined) this.#onFlush(ended);
    return {
      files: syncs.map(({ file }) => file),
      end: (done) => syncs.forEach((sync, i) => sync.end(i < done)),
    };
  }

  /** Withdraws all leases, for ever. */
  end(): void {
    this.#table.end();
  }
}
