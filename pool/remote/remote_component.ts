/**
 * The device of a remote component: a disk on another machine, which is written
 * through a local journal.
 *
 * A change is complete when the journal has it, in the page cache. The drain
 * brings it to the far side. A read takes from the journal what the far side
 * may lack. A flush drains the journal, leaves a mark on the far side, and flushes
 * the far side; only then the journal gives up the records.
 *
 * So after a kill of this process, the next opening finds in the journal
 * everything that the far side may lack. If the journal is lost with its
 * machine, the far side holds what was flushed, as after a power cut.
 *
 * @module
 */

import {
  abandon,
  type Completion,
  type DeviceCapabilities,
  type Extent,
  type WriteOptions,
  type WriteZeroesOptions,
} from "../../device/block/mod.ts";
import { type FlushObserver, removeFile } from "../../device/file/mod.ts";
import { assert, type VirstorError } from "../../errors.ts";
import type {
  ComponentDevice,
  RemoteStatus,
  WaitingChanges,
} from "../core/mod.ts";
import { Changes } from "./changes.ts";
import { componentFlushes } from "./component_flush.ts";
import { Drain } from "./drain.ts";
import type { FarDisk } from "./far_disk.ts";
import type { FarOwner } from "./far_owner.ts";
import { farFlushes } from "./far_flush.ts";
import type { FlushTurns } from "./flush_turns.ts";
import type { Journal } from "./journal.ts";
import { KeptTail } from "./kept_tail.ts";
import { ownedReads } from "./owned_reads.ts";
import { Overlay } from "./overlay.ts";
import type {
  RemoteComponentOptions,
  RemoteComponentStatus,
} from "./remote_options.ts";
import { readLater, RemoteReads } from "./remote_reads.ts";
import { RoomQueue } from "./room_queue.ts";
import { WatchedFar } from "./watched_far.ts";
import { awayError, closedError, stoppedError } from "./refusals.ts";
import { remoteStatusOf } from "./status_of.ts";

/** With this share of the journal used, new chunks are better elsewhere. */
const STALLED_SHARE = 3 / 4;
/** Milliseconds before a request that the far side refuses is repeated. */
const RETRY_MS = 100;

/** The device of a remote component. */
export class RemoteComponent implements ComponentDevice {
  /** The far side's URI, without a password. */
  readonly path: string;
  /** Equal for two devices if they are the same component. */
  readonly identity: string;
  /** Bytes. */
  readonly size: number;
  /** Requests may start and end at any byte. */
  readonly blockSize = 1;
  /** Discarded ranges read as zeroes. */
  readonly capabilities: DeviceCapabilities = {
    readOnly: false,
    discard: true,
    fastZeroes: true,
  };
  /** A read may have to ask another machine. */
  readonly isRemote = true;
  /** Receives each flush. */
  observer: FlushObserver | undefined;
  /** How the far side answers. */
  readonly farSide: WatchedFar;
  readonly #far: FarDisk;
  readonly #journal: Journal;
  readonly #overlay = new Overlay();
  readonly #drain: Drain;
  readonly #farFlush: FlushTurns;
  readonly #flush: FlushTurns;
  readonly #owner: FarOwner | undefined;
  readonly #room: RoomQueue;
  readonly #changes: Changes;
  readonly #reads: RemoteReads;
  #failure: VirstorError | undefined;
  #closing: Promise<void> | undefined;
  #isLeaving = false;

  /**
   * Begins to drain what an earlier opening left.
   *
   * @param options The parts.
   */
  constructor(options: RemoteComponentOptions) {
    const { path, journal, owner, retryMs, onSilence } = options;
    const far = new WatchedFar(options.far, () => this.flush(), onSilence);
    const { componentSize, componentUuid } = journal.owner;
    assert(far.size === componentSize, "the journal is of this far side");
    this.path = path;
    this.identity = `remote ${componentUuid}`;
    this.size = far.size;
    this.farSide = far;
    this.#far = options.far;
    this.#journal = journal;
    this.#owner = owner;
    const onFailure = (error: VirstorError) => this.#fail(error);
    if (owner !== undefined) owner.onLost = onFailure;
    const parts = { far, journal, retryMs: retryMs ?? RETRY_MS, onFailure };
    this.#drain = new Drain({
      ...parts,
      overlay: this.#overlay,
      admit: owner && (() => owner.admit()),
    });
    this.#farFlush = farFlushes({ ...parts, owner, drain: this.#drain });
    const makeRoom = () => this.#farFlush.flush();
    this.#room = new RoomQueue(journal, makeRoom, onFailure);
    this.#flush = componentFlushes({
      far: this.#farFlush,
      room: this.#room,
      observer: () => this.observer,
    });
    this.#changes = new Changes({
      path,
      journal,
      overlay: this.#overlay,
      drain: this.#drain,
      room: this.#room,
      reserved: owner?.room,
      onRecord: () => this.#farFlush.wrote(),
      check: () => this.#checkWrite("write", 0, 0),
    });
    this.#reads = new RemoteReads({
      far: owner === undefined ? far : ownedReads(far, owner),
      journal,
      overlay: this.#overlay,
      changes: this.#changes,
    });
  }

  /** Set while too much waits for room in the journal; never rejects. */
  get congestion(): Promise<void> | undefined {
    return this.#room.congestion;
  }

  /**
   * Set while changes wait for room in the journal: settles when those made so
   * far are complete, and rejects if they never will be.
   */
  get behind(): Promise<void> | undefined {
    return this.#room.last;
  }

  /** The changes that wait for room in the journal. */
  get waitingChanges(): WaitingChanges {
    return this.#room.state;
  }

  /** Whether the journal is so full that changes wait, or soon will. */
  get isStalled(): boolean {
    return this.#room.last !== undefined ||
      this.#journal.used > this.#journal.capacity * STALLED_SHARE;
  }

  /** Writes that were delayed since the component was opened. */
  get waits(): number {
    return this.#room.state.total;
  }

  /**
   * Keeps the end of the component in memory from now on, so that reads of it
   * finish at once: the chunk table and the superblocks.
   *
   * @param start The first byte.
   * @returns Rejects with `io`.
   */
  async keep(start: number): Promise<void> {
    const kept = new KeptTail(start, this.size);
    this.#changes.kept = kept;
    await kept.load(async (target, offset) => await this.read(target, offset));
  }

  /**
   * Fills `target`.
   *
   * @param target The buffer to fill.
   * @param offset The offset of the first byte.
   * @returns A promise while the far side is asked.
   * @throws {VirstorError} `io`.
   */
  read(target: Uint8Array, offset: number): Completion {
    this.#check("read", offset, target.length);
    return this.#reads.read(target, offset);
  }

  /**
   * Fills the start of `target` with what the journal has.
   *
   * @param target The buffer to fill from its start.
   * @param offset The offset of the first byte.
   * @returns All bytes if the journal has them all; else 0.
   * @throws {VirstorError} `io`.
   */
  readCached(target: Uint8Array, offset: number): number {
    this.#check("read", offset, target.length);
    return this.#reads.readCached(target, offset);
  }

  /** As {@linkcode read}; the first `done` bytes of `target` are there. */
  readCold(target: Uint8Array, offset: number, done = 0): Promise<void> {
    return readLater(this, target, offset, done);
  }

  /**
   * Appends a write to the journal.
   *
   * @param source The bytes; the caller's again when the call returns.
   * @param offset The offset of the first byte.
   * @param options Whether the write is durable before it is done.
   * @returns A promise with `fua`, or if there is no room in the journal.
   * @throws {VirstorError} `io`; `no-space` if the journal's file system is full.
   */
  write(
    source: Uint8Array,
    offset: number,
    options?: WriteOptions,
  ): Completion {
    this.#checkWrite("write", offset, source.length);
    this.#flush.wrote();
    const pending = this.#changes.write(source, offset);
    return this.#completed(pending, options);
  }

  /**
   * Zeroes a range, as {@linkcode writeZeroes} does.
   *
   * @param offset First byte of the range.
   * @param length Bytes of the range.
   * @param options Whether the discard is durable before it is done.
   * @returns As {@linkcode write}.
   */
  discard(
    offset: number,
    length: number,
    options?: WriteOptions,
  ): Completion {
    return this.writeZeroes(offset, length, options);
  }

  /**
   * Appends zeroes to the journal, which take no room there but a record; of
   * more than 1 GiB in steps, each when the far side has the one before it.
   *
   * @param offset First byte of the range.
   * @param length Bytes of the range.
   * @param options Whether the range keeps its space, and whether the zeroes
   *   are durable before the call is done.
   * @returns As {@linkcode write}; a promise also for more than 1 GiB.
   */
  writeZeroes(
    offset: number,
    length: number,
    options?: WriteZeroesOptions,
  ): Completion {
    this.#checkWrite("zero", offset, length);
    const noHole = options?.noHole === true;
    this.#flush.wrote();
    const pending = this.#changes.zero(offset, length, noHole);
    return this.#completed(pending, options);
  }

  /**
   * Makes earlier changes durable there, also those that wait for room.
   *
   * @returns A promise if there is anything to wait for.
   * @throws {VirstorError} `io`, at every call after the first failure.
   */
  flush(): Completion {
    if (this.#closing !== undefined) throw closedError(this.path, "flush");
    return this.#flush.flush();
  }

  /**
   * Describes a range as data, without asking the far side.
   *
   * @param offset First byte of the range.
   * @param length Bytes of the range.
   * @returns One run.
   */
  extents(offset: number, length: number): Extent[] {
    this.#check("look at", offset, length);
    return length === 0 ? [] : [{ length, kind: "data" }];
  }

  /** What the component itself knows of its state. */
  status(): RemoteComponentStatus {
    return {
      journalSize: this.#journal.capacity,
      journalUsed: this.#journal.used,
      pending: this.#drain.pending,
      inFlight: this.#drain.inFlight,
      delayedWrites: this.#room.state.count,
      failure: this.#failure?.message ?? "",
    };
  }

  /** The state of the component and of its connection. */
  remoteStatus(): RemoteStatus {
    return remoteStatusOf(this.path, this.#far.status?.(), {
      journal: this.#journal,
      delayedWrites: this.#room.state.count,
      failure: this.#failure?.message ?? "",
    });
  }

  /**
   * Waits for the far side no more: flushes, reads and writes that wait for it
   * fail, and so do later ones. What the far side lacks stays in the journal.
   *
   * @param reason Why, as in `the pool is stopped`.
   */
  giveUp(reason: string): void {
    if (this.#closing !== undefined) return;
    const error = awayError(this.path, reason, this.#drain.pending);
    this.#fail(error);
    this.#owner?.abandon(error);
    // What is in flight ends with it: its time is over.
    abandon(Promise.resolve(this.farSide.close(0)));
  }

  /** From now on the close removes the journal, if the far side has it all. */
  leave(): void {
    this.#isLeaving = true;
  }

  /**
   * Closes the component. What the far side lacks stays in the journal, durably.
   *
   * @returns The end of the close.
   */
  close(): Completion {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** As {@linkcode close}. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(): Promise<void> {
    const error = closedError(this.path, "write to");
    this.#room.fail(error);
    this.#drain.stop(error);
    const isComplete = this.#failure === undefined &&
      this.#journal.needed === 0;
    // Before it is given up: the next opening must send nothing again.
    await this.#journal.sync(true).catch(() => {});
    const isGivenUp = await this.#owner?.end(isComplete) ?? false;
    await this.farSide.close();
    await this.#owner?.settled();
    await this.#flush.settled();
    await this.#farFlush.settled();
    // Its lock keeps others from taking it for theirs until it is gone.
    if (isGivenUp && this.#isLeaving) removeFile(this.#journal.path);
    await this.#journal.close();
  }

  #completed(pending: Completion, options?: WriteOptions): Completion {
    if (options?.fua !== true) return pending;
    return pending === undefined
      ? this.flush()
      : pending.then(() => this.flush());
  }

  #fail(error: VirstorError): void {
    this.#failure ??= error;
    this.#room.fail(error);
    this.#drain.stop(error);
  }

  #checkWrite(action: string, offset: number, length: number): void {
    this.#check(action, offset, length);
    if (this.#failure === undefined) return;
    throw stoppedError(this.path, action, this.#failure);
  }

  #check(action: string, offset: number, length: number): void {
    if (this.#closing !== undefined) throw closedError(this.path, action);
    assert(
      Number.isSafeInteger(offset) && offset >= 0 && length >= 0 &&
        length <= this.size - offset,
      "a request lies inside the remote component",
    );
  }
}
