/**
 * A simulated file, open. It flushes as `FileDevice` does, by the same class.
 *
 * @module
 */

import type {
  Completion,
  DeviceCapabilities,
  Extent,
  WriteZeroesOptions,
} from "../../device/mod.ts";
import { FileSync, type FlushObserver } from "../../device/file/mod.ts";
import type { LentDescriptor, SyncLine } from "../../device/leases/mod.ts";
import { VirstorError } from "../../errors.ts";
import type {
  Blanks,
  ComponentDevice,
  OpenDevice,
} from "../../pool/core/mod.ts";
import type { SimulatedDisk } from "./simulated_disk.ts";
import { SECTOR, type SimulatedFile } from "./simulated_file.ts";

/** How a file is opened. */
type OpenHow = Parameters<OpenDevice>[1];

/** A simulated file, open. */
export class SimulatedDevice implements ComponentDevice {
  /** Where it is. */
  readonly path: string;
  /** Tells files apart. */
  readonly identity: string;
  /** Requests may start and end at any byte. */
  readonly blockSize = 1;
  /** What it can do. */
  readonly capabilities: DeviceCapabilities;
  /** What is there without waiting; only where reads may have to wait. */
  readonly readCached?: (target: Uint8Array, offset: number) => number;
  /** Waits for the rest. */
  readonly readCold?: (target: Uint8Array, offset: number) => Promise<void>;

  /** How much of the file is used. */
  readonly length: NonNullable<ComponentDevice["length"]> = {
    now: () => this.#file.size,
    use: (size) => this.#size = size,
  };

  readonly #disk: SimulatedDisk;
  readonly #file: SimulatedFile;
  #size: number;
  /** After a crash it is dead. */
  readonly #epoch: number;
  readonly #blanks: Blanks = {
    isBlank: (offset, length) =>
      this.#file.extents(offset, length).every(({ kind }) => kind === "hole"),
    widen: () => undefined,
  };
  readonly #sync: FileSync;
  /** Whether the next flush has to do something. */
  #dirty: boolean;
  /** Its number, once it is lent. */
  #descriptor: number | undefined;
  #isClosed = false;
  /** The call stacks of the callers of the next flush. */
  #askers: string[] = [];

  /**
   * Opens a file.
   *
   * @param disk The machine.
   * @param file The file.
   * @param how Whether it is to be read only, and how much of it is used.
   * @throws {VirstorError} `busy` if it is open for writing.
   */
  constructor(
    disk: SimulatedDisk,
    file: SimulatedFile,
    { readOnly = false, size = file.size }: OpenHow,
  ) {
    if (file.writer !== undefined) {
      throw new VirstorError("busy", `"${file.path}" was left open`);
    }
    if (!readOnly) file.writer = this;
    this.#disk = disk;
    this.#file = file;
    this.#epoch = disk.epoch;
    // What a process that was killed has written is in the cache only.
    this.#dirty = !readOnly;
    this.path = file.path;
    this.identity = file.path;
    this.#size = size;
    const { path } = file;
    this.#sync = new FileSync({
      path,
      size,
      sync: (ended) => void this.#startSync(ended),
      loss: () => "",
    }, !readOnly);
    const punches = disk.punches && !readOnly;
    this.capabilities = { readOnly, discard: punches, fastZeroes: punches };
    if (!disk.hasColdReads) return;
    this.readCached = (target, offset) => {
      const count = this.#disk.cachedBytes(target.length);
      this.read(target.subarray(0, count), offset);
      return count;
    };
    this.readCold = async (target, offset) => {
      await this.#disk.coldTime();
      this.read(target, offset);
    };
  }

  /**
   * Reads.
   *
   * @param target Where the bytes go.
   * @param offset The first byte.
   * @returns Nothing: it is done.
   */
  read(target: Uint8Array, offset: number): undefined {
    this.#assertOpen();
    this.#disk.admit("read", this.#epoch);
    this.#file.read(target, offset);
  }

  /**
   * Writes into the cache.
   *
   * @param source The bytes.
   * @param offset The first byte.
   * @returns Nothing: it is done.
   */
  write(source: Uint8Array, offset: number): undefined {
    const { length } = source;
    this.#change(offset, length, source, false);
  }

  /**
   * Makes durable what is in the cache.
   *
   * @returns A promise if there may be anything.
   */
  flush(): Completion {
    this.#assertOpen();
    const isCovered = !this.#dirty && this.#askers.length === 0;
    if (!isCovered && this.#disk.skipsFlush !== undefined) {
      this.#askers.push(new Error().stack ?? "");
    }
    return this.#sync.flush();
  }

  /**
   * Punches a hole, if that can be done.
   *
   * @param offset The first byte.
   * @param length How many.
   * @returns Nothing: it is done.
   */
  discard(offset: number, length: number): undefined {
    if (!this.#disk.punches || length === 0) return;
    this.#change(offset, length, undefined, true);
  }

  /**
   * Punches a hole, or writes zeroes.
   *
   * @param offset The first byte.
   * @param length How many.
   * @param options How.
   * @returns Nothing: it is done.
   */
  writeZeroes(
    offset: number,
    length: number,
    options?: WriteZeroesOptions,
  ): undefined {
    if (length === 0) return;
    const isPunch = this.#disk.punches && options?.noHole !== true;
    this.#change(offset, length, undefined, isPunch);
  }

  /**
   * Tells data and holes apart, if holes can be punched.
   *
   * @param offset The first byte.
   * @param length How many.
   * @returns The runs.
   */
  extents(offset: number, length: number): Extent[] {
    if (length === 0) return [];
    return this.#disk.punches
      ? this.#file.extents(offset, length)
      : [{ length, kind: "data" }];
  }

  /** Bytes that are used. */
  get size(): number {
    return this.#size;
  }

  /** What holds no data, if holes can be punched. */
  get blanks(): Blanks | undefined {
    return this.capabilities.discard ? this.#blanks : undefined;
  }

  /**
   * Closes it. What was not flushed stays in the cache.
   *
   * @returns A promise while a flush runs.
   */
  close(): Completion {
    const release = () => {
      if (this.#file.writer === this) this.#file.writer = undefined;
    };
    this.#isClosed = true;
    const running = this.#sync.end();
    if (running !== undefined) return running.then(release);
    release();
    return undefined;
  }

  /**
   * Lends the file to lanes.
   *
   * @returns Its number.
   */
  lend(): LentDescriptor {
    this.#descriptor ??= this.#disk.lend(this);
    return { descriptor: this.#descriptor, tellsCached: false };
  }

  /** Lanes have written to it: there is something to make durable. */
  touched(): void {
    this.#dirty = true;
    this.#sync.wrote();
  }

  /** Called for each flush of the owner. */
  get observer(): FlushObserver | undefined {
    return this.#sync.observer;
  }

  set observer(observer: FlushObserver | undefined) {
    this.#sync.observer = observer;
  }

  /**
   * Lets lanes flush it, too.
   *
   * @param line What they share with it.
   * @returns Whether they may.
   */
  shareSync(line: SyncLine): boolean {
    return this.#sync.share(line, this.lend().descriptor);
  }

  /** Makes durable what is in the cache, as a lane does under a lock. */
  async syncLent(): Promise<void> {
    const covered = this.#file.pending;
    await this.#disk.flushTime();
    this.#makeDurable(covered, []);
  }

  /**
   * Writes as a lane does, which tells the table of leases only.
   *
   * @param source The bytes.
   * @param offset The first byte.
   */
  writeLent(source: Uint8Array, offset: number): void {
    this.#changeFile(offset, source.length, source, false);
  }

  #assertOpen(): void {
    if (this.#isClosed) {
      throw new VirstorError("io", `"${this.path}" is closed`);
    }
  }

  /** Does a change of the owner. */
  #change(
    offset: number,
    length: number,
    source: Uint8Array | undefined,
    isPunch: boolean,
  ): void {
    this.touched();
    this.#changeFile(offset, length, source, isPunch);
  }

  /** Does a change, or as much of it as there is room for, say. */
  #changeFile(
    offset: number,
    length: number,
    source: Uint8Array | undefined,
    isPunch: boolean,
  ): void {
    if (this.#isClosed && this.#epoch === this.#disk.epoch) {
      this.#disk.misuse(`"${this.path}" was written to after it was closed`);
    }
    this.#assertOpen();
    let refusal: unknown;
    let done = length;
    try {
      this.#disk.admit("change", this.#epoch);
    } catch (error) {
      if (this.#epoch !== this.#disk.epoch || this.#disk.isDown) throw error;
      refusal = error;
      done = Math.min(length, SECTOR);
    }
    const room = isPunch ? done : this.#file.hole(offset, done) - offset;
    if (room < done) {
      try {
        this.#disk.admit("full", this.#epoch);
        if (this.#disk.full.has(this.path)) {
          throw new VirstorError("no-space", `There is no room for a hole`);
        }
      } catch (error) {
        refusal = error;
        done = room;
      }
    }
    if (done > 0) {
      const bytes = source?.slice(0, done);
      this.#file.change({ offset, length: done, bytes, isPunch });
    }
    if (refusal !== undefined) throw refusal;
  }

  async #startSync(ended: (error: unknown) => void): Promise<void> {
    this.#dirty = false;
    const askers = this.#askers;
    this.#askers = [];
    const covered = this.#file.pending;
    let failure: unknown = null;
    try {
      await this.#disk.flushTime();
      this.#makeDurable(covered, askers);
    } catch (error) {
      failure = error;
    }
    ended(failure);
  }

  #makeDurable(covered: number, askers: readonly string[]): void {
    this.#disk.admit("flush", this.#epoch);
    if (!this.#disk.leavesOut(askers)) this.#file.sync(covered);
  }
}
