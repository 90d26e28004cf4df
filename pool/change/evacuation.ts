/**
 * Evacuation: moves the chunks of components that are to be removed to the
 * other components, while reads and writes go on.
 *
 * A move has these steps: the chunk is copied, while writes to it go to both
 * places; the copy is made durable; the entry of the new place is written, with
 * a higher sequence number, and made durable; the entry of the old place is
 * cleared. After a crash at any point, one of the two places holds all
 * acknowledged writes, and the entries say which. Moves run in batches, so that
 * they share flushes. A chunk that is being moved is pinned: it keeps its
 * mapping even if a client discards it.
 *
 * @module
 */

import {
  assert,
  AssertionError,
  messageOf,
  VirstorError,
} from "../../errors.ts";
import {
  type Component,
  copyChunk,
  endsBefore,
  pause,
  turn,
} from "../core/mod.ts";
import type {
  EvacuationObserver,
  EvacuationStatus,
} from "./evacuation_status.ts";
import { ChunkMoves, type Move } from "./chunk_moves.ts";
import { type LeavingChunk, leavingChunks } from "./leaving_chunks.ts";
import { Losses } from "./losses.ts";
import type { PoolBase } from "../io/mod.ts";
import { RateLimit } from "./rate_limit.ts";

/** The most bytes of a batch, but at least one chunk. */
const BATCH_BYTES = 32 << 20;
/** The most chunks of a batch. */
const BATCH_CHUNKS = 256;
/** How long a batch may take at a limited rate, seconds: a stop undoes it. */
const BATCH_SECONDS = 5;
/** Bytes that are copied before other work gets a turn. */
const TURN_BYTES = 1 << 20;
/** Virtual chunks that are examined before other work gets a turn. */
const LOOKS_A_TURN = 65_536;

/** Moves chunks off components that are to be removed. */
export class Evacuation {
  /** What could not be read, and was lost. */
  readonly losses: Losses;
  readonly #parts: PoolBase;
  readonly #observer: EvacuationObserver;
  readonly #rate = new RateLimit();
  readonly #moves: ChunkMoves;
  #running: Promise<void> | undefined;
  /** Whether chunks are to be moved whenever nothing holds the evacuation. */
  #isOn = false;
  #isEnded = false;
  #isWaiting = false;
  /** How many callers hold the evacuation. */
  #holds = 0;
  #reason = "";
  #movedBytes = 0;
  /** Bytes of the chunks of the batch that are copied, and not moved yet. */
  #copiedBytes = 0;
  #sinceTurn = 0;
  #room = Promise.withResolvers<void>();
  /** Settles when moves have to end. */
  #stopped = Promise.withResolvers<void>();

  /**
   * Creates an idle evacuation.
   *
   * @param parts The open pool's parts.
   * @param observer Receives what it comes to.
   */
  constructor(parts: PoolBase, observer: EvacuationObserver) {
    this.#parts = parts;
    this.#observer = observer;
    this.#moves = new ChunkMoves(parts);
    this.losses = new Losses(parts);
  }

  /** The progress; undefined if no component is evacuating. */
  get status(): EvacuationStatus | undefined {
    const leaving = this.#leaving;
    if (leaving.length === 0) return undefined;
    const { chunkSize } = this.#parts.settings;
    const heldBytes = leaving.reduce((sum, one) => sum + one.used, 0) *
      chunkSize;
    const leftBytes = Math.max(0, heldBytes - this.#copiedBytes);
    const bytesPerSecond = Math.round(this.#rate.measured);
    const state = this.stopReason !== undefined
      ? "stopped"
      : this.#isWaiting
      ? "waiting"
      : "moving";
    return {
      components: leaving.map(({ device }) => device.path),
      state,
      reason: this.stopReason ?? "",
      movedBytes: this.#movedBytes + this.#copiedBytes,
      leftBytes,
      bytesPerSecond,
      secondsLeft: state === "moving" && bytesPerSecond > 0
        ? Math.ceil(leftBytes / bytesPerSecond)
        : null,
    };
  }

  /** Why no chunk is moved; undefined if the evacuation runs or waits. */
  get stopReason(): string | undefined {
    if (this.#isOn && !this.#isEnded) return undefined;
    return this.#reason === ""
      ? "it goes on when the pool is opened for writing"
      : this.#reason;
  }

  /**
   * Starts or resumes the evacuation of components marked as evacuating.
   *
   * @param bytesPerSecond The maximum rate, bytes a second; 0 for no limit.
   * @param mayLose How much may be lost that cannot be read, bytes.
   */
  start(bytesPerSecond: number, mayLose = 0): void {
    if (this.#isEnded || this.#leaving.length === 0) return;
    this.#rate.limit(bytesPerSecond);
    this.losses.accept(mayLose);
    this.#reason = "";
    if (!this.#isOn) this.#movedBytes = 0;
    this.#isOn = true;
    this.#goOn();
  }

  /**
   * Limits the moves of the evacuation that runs, if one does.
   *
   * @param bytesPerSecond The maximum rate, bytes a second; 0 for no limit.
   */
  setRate(bytesPerSecond: number): void {
    this.#rate.limit(bytesPerSecond);
    // A change that waits for the moves to end waits for no pause.
    if (this.#mustPause) this.#rate.endPauses();
  }

  /**
   * Holds the evacuation, until {@linkcode release} was called as often. A
   * chunk whose copy is not complete stays in its old place.
   *
   * *Ensures*: when this settles, no chunk is being moved.
   *
   * @returns Settles when no move is in flight.
   */
  async hold(): Promise<void> {
    this.#holds++;
    this.#stopped.resolve();
    this.#rate.endPauses();
    this.wake();
    await this.#running;
  }

  /** Releases a {@linkcode hold}. */
  release(): void {
    assert(this.#holds > 0, "a release has a hold");
    this.#holds--;
    if (this.#leaving.length === 0) this.#isOn = false;
    this.#goOn();
  }

  /**
   * Lets writes to components go to these components alone again.
   *
   * *Requires*: the evacuation is held.
   *
   * @param kept Components that stay in the pool.
   */
  detach(kept: readonly Component[]): void {
    assert(this.#isHeld, "no chunk moves off a component that stays");
    for (const one of kept) one.forbidMoves();
  }

  /** Resumes an evacuation that waits for space: chunks may be free now. */
  wake(): void {
    this.#room.resolve();
    this.#room = Promise.withResolvers();
  }

  /**
   * Ends the evacuation for good.
   *
   * *Ensures*: when this settles, no chunk is being moved, and none ever will.
   *
   * @returns Settles when no move is in flight.
   */
  async end(): Promise<void> {
    this.#isEnded = true;
    await this.hold();
  }

  /**
   * Stops the evacuation because of an error, until the next {@linkcode start}.
   *
   * @param error The error.
   */
  stopFor(error: unknown): void {
    if (this.#isEnded) return;
    this.#isOn = false;
    this.#reason = messageOf(error);
    this.#parts.settings.onEvent({
      kind: "evacuation-failed",
      message: `The evacuation stopped: ${this.#reason}`,
      paths: this.#leaving.map(({ device }) => device.path),
      reason: this.#reason,
    });
    this.#observer.stopped(this.#reason);
  }

  get #isHeld(): boolean {
    return this.#holds > 0 && this.#running === undefined;
  }

  get #mustPause(): boolean {
    return this.#holds > 0 || this.#isEnded;
  }

  /** The most chunks of a batch, at the rate of now. */
  get #batchChunks(): number {
    const { chunkSize } = this.#parts.settings;
    const { bytesPerSecond } = this.#rate;
    const bytes = bytesPerSecond === 0
      ? BATCH_BYTES
      : Math.min(BATCH_BYTES, BATCH_SECONDS * bytesPerSecond);
    return Math.max(1, Math.min(BATCH_CHUNKS, Math.floor(bytes / chunkSize)));
  }

  get #leaving(): Component[] {
    return this.#parts.format.members.filter((one) => one.evacuating);
  }

  #goOn(): void {
    if (this.#running !== undefined || this.#mustPause || !this.#isOn) return;
    this.#rate.resumePauses();
    this.#stopped = Promise.withResolvers();
    const { chunkSize } = this.#parts.settings;
    for (const one of this.#leaving) one.allowMoves(chunkSize);
    this.#running = this.#run();
  }

  async #run(): Promise<void> {
    // start() sets #running before this loop can end.
    await Promise.resolve();
    try {
      while (!this.#mustPause) {
        const leaving = this.#leaving;
        // Removal is a change of its own, so that it waits in the queue.
        if (leaving.some(({ used }) => used === 0)) this.#observer.empty();
        if (leaving.every(({ used }) => used === 0)) break;
        const found = await this.#pass();
        const isStuck = found === 0 && !this.#mustPause &&
          this.#leaving.every(({ used }) => used > 0);
        if (!isStuck) continue;
        // A copy on write that had begun before goes there.
        if (this.#leaving.some(({ unrecorded }) => unrecorded > 0)) {
          await pause();
          continue;
        }
        throw new VirstorError(
          "corrupt",
          "Cannot find the virtual chunks of used chunks, run virstor " +
            "check",
        );
      }
    } catch (error) {
      if (error instanceof AssertionError) this.#parts.fail(error);
      if (!this.#mustPause) this.stopFor(error);
    } finally {
      this.#running = undefined;
    }
  }

  /**
   * Scans the whole map once, and moves the chunks it finds on evacuating
   * components. Those are fenced, so no new chunk appears on them. Returns how
   * many chunks it found.
   */
  async #pass(): Promise<number> {
    const { volumes } = this.#parts;
    let batch: LeavingChunk[] = [];
    let found = 0;
    let looks = 0;
    const move = async () => {
      while (batch.length > 0 && !this.#mustPause) {
        batch = await this.#moveSome(batch);
      }
    };
    for (const chunk of leavingChunks(volumes.map(({ map }) => map))) {
      if (this.#mustPause) break;
      if (++looks % LOOKS_A_TURN === 0) await turn();
      if (chunk === undefined) continue;
      batch.push(chunk);
      found++;
      if (batch.length >= this.#batchChunks) await move();
    }
    await move();
    return found;
  }

  /** Moves as many chunks as there is space for; returns the others. */
  async #moveSome(chunks: LeavingChunk[]): Promise<LeavingChunk[]> {
    const moves: Move[] = [];
    const rest = [...chunks];
    let copied = 0;
    try {
      for (let next = rest[0]; next !== undefined; next = rest[0]) {
        const move = this.#moves.begin(next);
        if (move === "no room") break;
        if (move !== undefined) moves.push(move);
        rest.shift();
      }
      if (moves.length === 0 && rest.length > 0) await this.#waitForRoom();
      copied = await this.#copy(moves);
    } catch (error) {
      for (const move of moves) this.#moves.undo(move);
      this.#copiedBytes = 0;
      throw error;
    }
    for (const move of moves.slice(copied)) this.#moves.undo(move);
    this.losses.name(moves.slice(0, copied));
    try {
      this.#movedBytes += await this.#moves.conclude(moves.slice(0, copied)) *
        this.#parts.settings.chunkSize;
    } finally {
      this.#copiedBytes = 0;
    }
    const faulty = moves.filter((move) => move.fault !== undefined);
    for (const { target, fault } of faulty) {
      const error = this.#parts.hosts.failed(target, fault);
      // Where the file system is full, another component takes the chunks.
      if (this.#parts.mapper.elsewhere(error) === undefined) throw error;
    }
    return [...faulty, ...rest];
  }

  async #waitForRoom(): Promise<void> {
    if (this.#mustPause) return;
    this.#isWaiting = true;
    await this.#room.promise;
    this.#isWaiting = false;
  }

  /** Returns how many chunks were copied, durably, before it had to stop. */
  async #copy(moves: readonly Move[]): Promise<number> {
    const { chunkSize } = this.#parts.settings;
    const options = {
      chunkSize,
      // A free chunk reads as zeroes before it is taken.
      skipsHoles: true,
      mustStop: () => this.#mustPause,
      stopped: this.#stopped.promise,
      spend: (bytes: number) => {
        this.#copiedBytes += bytes;
        return this.#spend(bytes);
      },
    };
    let copied = 0;
    for (const move of moves) {
      // The rate may have become lower since the batch began.
      if (copied >= this.#batchChunks) break;
      const onUnreadable = this.losses.noting(move, moves);
      if (!await copyChunk(move, { ...options, onUnreadable })) break;
      copied++;
      // With its holes.
      this.#copiedBytes = copied * chunkSize;
    }
    const flushed = this.#moves.flush(moves.slice(0, copied));
    const isRemote = moves.some(({ target }) => target.device.isRemote);
    // Another machine may take any time, and holds up no change.
    const stopped = isRemote ? this.#stopped.promise : undefined;
    return await endsBefore(stopped, flushed) ? copied : 0;
  }

  /** Counts copied bytes, and gives other work a turn now and then. */
  async #spend(bytes: number): Promise<void> {
    await this.#rate.spend(bytes);
    this.#sinceTurn += bytes;
    if (this.#sinceTurn < TURN_BYTES) return;
    this.#sinceTurn = 0;
    await turn();
  }
}
