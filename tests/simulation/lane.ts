/**
 * A lane of a simulated world: it reads and writes chunks under real leases,
 * and asks the pool for everything else, as `nbd/server/lanes/lane.ts` does.
 *
 * A lane is a thread of its own, and this one is not. So one read or write
 * under a lease happens at once, and anything may happen before and after it.
 *
 * @module
 */

import { LeaseReader } from "../../device/leases/lease_reader.ts";
import { LeasedFlush, type Leases } from "../../device/leases/mod.ts";
import type { SnapshotDisk, Volume } from "../../pool/mod.ts";
import type { Random } from "./random.ts";
import type { SimulatedDisk } from "./simulated_disk.ts";
import { turn } from "./turns.ts";

/** The lanes of volumes and snapshots. */
const LANES = new WeakMap<Volume | SnapshotDisk, Lane>();

/**
 * The lane of a client of a volume or snapshot, one for each.
 *
 * @param device The volume or snapshot.
 * @param disk The machine that it is on.
 * @returns The lane, with the leases that it has got so far.
 */
export function laneTo(
  device: Volume | SnapshotDisk,
  disk: SimulatedDisk,
): Lane {
  const lane = LANES.get(device) ?? new Lane(device, disk);
  LANES.set(device, lane);
  return lane;
}

/** Turns that lanes have let pass: many without a disk, where nothing is mapped. */
export const laneTurns = { taken: 0 };

/** A lane. */
export class Lane<
  Device extends Volume | SnapshotDisk = Volume | SnapshotDisk,
> {
  /** Bytes of the disk when the connection was made: it learns of no other. */
  readonly size: number;
  /** Where it was connected. */
  readonly volume: Device;
  readonly #disk: SimulatedDisk;
  readonly #leases: Leases;
  readonly #reader: LeaseReader;
  readonly #flushes: LeasedFlush;

  /**
   * Connects to a volume or a snapshot.
   *
   * @param device The volume or snapshot.
   * @param disk The machine that it is on.
   */
  constructor(device: Device, disk: SimulatedDisk) {
    this.volume = device;
    this.#disk = disk;
    this.size = this.volume.size;
    this.#leases = this.volume.leases;
    const thread = this.#leases.join();
    if (thread === undefined) throw new Error("There is room for a lane");
    this.#reader = new LeaseReader(this.#leases.memory, thread);
    this.#flushes = new LeasedFlush(this.#leases.memory, thread);
  }

  /**
   * Gets leases of all chunks that have a place.
   *
   * @param chunkSize Bytes of a chunk.
   */
  lease(chunkSize: number): void {
    for (let at = 0; at < this.size; at += chunkSize) this.#leases.grant(at);
  }

  /**
   * Writes, chunk by chunk.
   *
   * @param source The bytes.
   * @param offset The first byte.
   * @param random Decides how long it takes.
   * @param signal Ends a wait for space.
   */
  async write(
    source: Uint8Array,
    offset: number,
    random: Random,
    signal?: AbortSignal,
  ): Promise<void> {
    for (let done = 0; done < source.length;) {
      const at = offset + done;
      const reach = this.#reader.restOfChunk(at);
      const piece = source.subarray(done, done + reach);
      if (
        !this.#writeNow(piece, at) &&
        !(await this.#prepare(at, source.length - done, random) &&
          this.#writeNow(piece, at))
      ) {
        await pause(random);
        this.#leases.grant(at);
        const rest = source.subarray(done);
        return await this.volume.write(rest, at, signal && { signal });
      }
      done += piece.length;
      await pause(random);
    }
  }

  /**
   * Reads, under a lease if there is one; else the pool does. A read under a
   * lease may wait for a disk, and then counts only if the lease still holds.
   *
   * @param target Where the bytes go, all in one chunk.
   * @param offset The first byte.
   * @param random Decides how long it takes.
   */
  async read(
    target: Uint8Array,
    offset: number,
    random: Random,
  ): Promise<void> {
    const reader = this.#reader;
    if (reader.find(offset, target.length)) {
      const { descriptor, at } = reader.lease;
      await pause(random);
      const isRead = this.#readNow(target, descriptor, at);
      await pause(random);
      if (isRead && reader.holds()) return reader.noteRead(target.length);
    }
    await pause(random);
    this.#leases.grant(offset);
    await this.volume.read(target, offset);
  }

  /**
   * Flushes by itself if it may; else the pool does.
   *
   * @param random Decides how long it takes.
   */
  async flush(random: Random): Promise<void> {
    await pause(random);
    const flushes = this.#flushes;
    let files = flushes.begin(false);
    for (; files === "busy"; files = flushes.begin(false)) await turn();
    if (files !== "owner") {
      let done = 0;
      try {
        for (const { descriptor } of files) {
          await this.#disk.lent(descriptor).syncLent();
          done++;
        }
      } catch {
        // The pool is asked, and says why.
      }
      const isDone = flushes.end(done);
      await pause(random);
      if (isDone) return;
    }
    await this.volume.flush();
  }

  /**
   * Reads from the start, a chunk at a time.
   *
   * @param target Where the bytes go.
   * @param random Decides how long it takes.
   */
  async readAll(target: Uint8Array, random: Random): Promise<void> {
    await this.readFrom(0, target, random);
  }

  /**
   * Reads a chunk at a time.
   *
   * @param offset The first byte.
   * @param target Where the bytes go.
   * @param random Decides how long it takes.
   */
  async readFrom(
    offset: number,
    target: Uint8Array,
    random: Random,
  ): Promise<void> {
    for (let at = 0; at < target.length;) {
      const end = at + this.#reader.restOfChunk(offset + at);
      await this.read(target.subarray(at, end), offset + at, random);
      at = end;
    }
  }

  #readNow(target: Uint8Array, descriptor: number, at: number): boolean {
    try {
      this.#disk.lent(descriptor).read(target, at);
      return true;
    } catch {
      // It may have been closed meanwhile; the pool knows why.
      return false;
    }
  }

  /** Asks the owner of the pool, on another thread, for all of a range. */
  async #prepare(
    offset: number,
    length: number,
    random: Random,
  ): Promise<boolean> {
    await pause(random);
    const offsets: number[] = [];
    for (let at = offset; at < offset + length;) {
      offsets.push(at);
      at += this.#reader.restOfChunk(at);
    }
    const has = this.#leases.prepare(...offsets);
    await pause(random);
    return has;
  }

  #writeNow(piece: Uint8Array, offset: number): boolean {
    const reader = this.#reader;
    if (!reader.isWritable || !reader.use(offset, piece.length)) return false;
    let written = 0;
    try {
      const { descriptor, at } = reader.lease;
      this.#disk.lent(descriptor).writeLent(piece, at);
      written = piece.length;
    } catch {
      // The pool is asked, and says why.
    } finally {
      reader.noteWritten(written);
      reader.release();
    }
    return written > 0;
  }
}

/** A thread and its owner do not wait for each other. */
async function pause(random: Random): Promise<void> {
  if (random.chance(30)) {
    laneTurns.taken++;
    await turn();
  }
  for (let i = random.below(4); i > 0; i--) await Promise.resolve();
}
