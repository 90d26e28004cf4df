/**
 * Evacuation: the chunks of components that are to leave are moved to the
 * others, while reads and writes go on.
 *
 * A chunk is moved in this order: it is copied, and what is written to it
 * meanwhile goes to both places; the copy is made durable; the entry of the
 * new place is written, with a higher sequence number, and made durable; the
 * entry of the old place is cleared. Wherever it is stopped, one of the two
 * places has all that was acknowledged, and the entries say which. Chunks are
 * moved some at a time, so that they share the flushes. While one is moved it
 * is pinned: it keeps its mapping also if it is discarded.
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
  type ChunkMove,
  type Component,
  copyChunk,
  flushAll,
  type MovingChunks,
  turn,
} from "../core/mod.ts";
import type { EvacuationStatus } from "./evacuation_status.ts";
import type { PoolParts } from "../io/mod.ts";
import { RateLimit } from "./rate_limit.ts";

/** Chunks are moved so many bytes at a time, one chunk at least. */
const BATCH_BYTES = 32 << 20;
/** And so many chunks at most. */
const BATCH_CHUNKS = 256;
/** So many bytes are copied before others have a turn. */
const TURN_BYTES = 1 << 20;
/** So many chunks are looked at before others have a turn. */
const LOOKS_A_TURN = 65_536;

/** Moves chunks off components that are to leave. */
export class Evacuation {
  readonly #parts: PoolParts;
  /** Asks for the end of the membership of components that are empty. */
  readonly #onEmpty: () => void;
  readonly #rate = new RateLimit();
  #running: Promise<void> | undefined;
  /** Whether chunks are to be moved, as soon as there are no holds. */
  #isOn = false;
  #isEnded = false;
  #isWaiting = false;
  /** Changes of the pool during which nothing may be moved. */
  #holds = 0;
  #reason = "";
  #movedBytes = 0;
  #sinceTurn = 0;
  #room = Promise.withResolvers<void>();

  /**
   * Creates one that has nothing to do.
   *
   * @param parts The open pool.
   * @param onEmpty Called when components that are to leave hold no chunk any
   *   more; more than once, until they have left.
   */
  constructor(parts: PoolParts, onEmpty: () => void) {
    this.#parts = parts;
    this.#onEmpty = onEmpty;
  }

  /** How it does; undefined if no component is to leave. */
  get status(): EvacuationStatus | undefined {
    const leaving = this.#leaving;
    if (leaving.length === 0) return undefined;
    const { chunkSize } = this.#parts.settings;
    const leftBytes = leaving.reduce((sum, one) => sum + one.used, 0) *
      chunkSize;
    const bytesPerSecond = Math.round(this.#rate.measured);
    const state = !this.#isOn || this.#isEnded
      ? "stopped"
      : this.#isWaiting
      ? "waiting"
      : "moving";
    return {
      components: leaving.map(({ device }) => device.path),
      state,
      reason: state === "stopped" && this.#reason === ""
        ? "it goes on when the pool is opened for writing"
        : this.#reason,
      movedBytes: this.#movedBytes,
      leftBytes,
      bytesPerSecond,
      secondsLeft: state === "moving" && bytesPerSecond > 0
        ? Math.ceil(leftBytes / bytesPerSecond)
        : null,
    };
  }

  /**
   * Begins to move what is on components that are marked as evacuating, or
   * goes on with it.
   *
   * @param bytesPerSecond The highest rate; 0 for none.
   */
  start(bytesPerSecond: number): void {
    if (this.#isEnded || this.#leaving.length === 0) return;
    this.#rate.limit(bytesPerSecond);
    this.#reason = "";
    if (!this.#isOn) this.#movedBytes = 0;
    this.#isOn = true;
    this.#goOn();
  }

  /**
   * Holds the evacuation: afterwards no chunk is being moved, and none is
   * until as many calls of {@linkcode release}. A chunk whose copy is not
   * complete stays where it is.
   *
   * @returns Done when nothing is in flight.
   */
  async hold(): Promise<void> {
    this.#holds++;
    this.#rate.endPauses();
    this.wake();
    await this.#running;
  }

  /** Ends a {@linkcode hold}. */
  release(): void {
    assert(this.#holds > 0, "what is released is held");
    this.#holds--;
    if (this.#leaving.length === 0) this.#isOn = false;
    this.#goOn();
  }

  /**
   * From now on writes to components go to these alone. Only while the
   * evacuation is held.
   *
   * @param kept Components that stay.
   */
  detach(kept: readonly Component[]): void {
    assert(this.#isHeld, "nothing is moved off what stays");
    for (const one of kept) one.forbidMoves();
  }

  /** Chunks may have become free. */
  wake(): void {
    this.#room.resolve();
    this.#room = Promise.withResolvers();
  }

  /**
   * Ends it for good: afterwards no chunk is being moved.
   *
   * @returns Done when nothing is in flight.
   */
  async end(): Promise<void> {
    this.#isEnded = true;
    await this.hold();
  }

  /**
   * Stops, because of an error, until the next {@linkcode start}.
   *
   * @param error Why.
   */
  stopFor(error: unknown): void {
    if (this.#isEnded) return;
    this.#isOn = false;
    this.#reason = messageOf(error);
    this.#parts.settings.onEvent({
      kind: "evacuation-failed",
      message: `The evacuation stopped: ${this.#reason}`,
    });
  }

  get #isHeld(): boolean {
    return this.#holds > 0 && this.#running === undefined;
  }

  get #mustPause(): boolean {
    return this.#holds > 0 || this.#isEnded;
  }

  get #leaving(): Component[] {
    return this.#parts.format.members.filter((one) => one.evacuating);
  }

  #goOn(): void {
    if (this.#running !== undefined || this.#mustPause || !this.#isOn) return;
    this.#rate.resumePauses();
    const { chunkSize } = this.#parts.settings;
    for (const one of this.#leaving) one.allowMoves(chunkSize);
    this.#running = this.#run();
  }

  async #run(): Promise<void> {
    // So that `#running` is set before this can end.
    await Promise.resolve();
    try {
      while (!this.#mustPause) {
        const leaving = this.#leaving;
        // The change that removes them takes its turn among the others.
        if (leaving.some(({ used }) => used === 0)) this.#onEmpty();
        if (leaving.every(({ used }) => used === 0)) break;
        const found = await this.#pass();
        const isStuck = found === 0 && !this.#mustPause &&
          this.#leaving.every(({ used }) => used > 0);
        if (!isStuck) continue;
        throw new VirstorError(
          "corrupt",
          "Cannot find whose the chunks are that are in use, run virstor " +
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
   * Goes over the whole disk once. Nothing new comes to what is to leave.
   * Returns how many chunks there were to be moved.
   */
  async #pass(): Promise<number> {
    const { map, settings: { chunkSize } } = this.#parts;
    const most = Math.max(
      1,
      Math.min(BATCH_CHUNKS, Math.floor(BATCH_BYTES / chunkSize)),
    );
    let batch: number[] = [];
    let found = 0;
    let isEnd = false;
    let looks = 0;
    for (let v = 0; !isEnd && !this.#mustPause; v++) {
      v = map.nextMapped(v, map.virtualChunks);
      isEnd = v >= map.virtualChunks;
      if (!isEnd && map.component(v)?.evacuating === true) {
        batch.push(v);
        found++;
      }
      if (++looks % LOOKS_A_TURN === 0) await turn();
      if (batch.length < most && !isEnd) continue;
      while (batch.length > 0 && !this.#mustPause) {
        batch = await this.#moveSome(batch);
      }
    }
    return found;
  }

  /** Moves as many as there is room for; returns the others. */
  async #moveSome(virtualChunks: number[]): Promise<number[]> {
    const moves: ChunkMove[] = [];
    const rest = [...virtualChunks];
    let copied = 0;
    try {
      while (rest.length > 0) {
        const move = this.#begin(rest[0] ?? 0);
        if (move === "no room") break;
        if (move !== undefined) moves.push(move);
        rest.shift();
      }
      if (moves.length === 0 && rest.length > 0) await this.#waitForRoom();
      copied = await this.#copy(moves);
    } catch (error) {
      for (const move of moves) this.#undo(move);
      throw error;
    }
    for (const move of moves.slice(copied)) this.#undo(move);
    await this.#conclude(moves.slice(0, copied));
    const faulty = moves.find((move) => move.fault !== undefined);
    if (faulty !== undefined) throw faulty.fault;
    return rest;
  }

  /** Takes a free chunk for a virtual one; undefined if it needs none. */
  #begin(virtualChunk: number): ChunkMove | "no room" | undefined {
    const { map, space, firstWrites } = this.#parts;
    const source = map.component(virtualChunk);
    // Meanwhile it may have been discarded.
    if (source === undefined || !source.evacuating) return undefined;
    // Writes that wait for space come first.
    const target = firstWrites.delayed.size > 0 ? undefined : space.fresh();
    if (target === undefined) return "no room";
    const to = target.next;
    space.take(target);
    const from = map.chunk(virtualChunk);
    const move = { virtualChunk, source, from, target, to, fault: undefined };
    map.pin(virtualChunk);
    movingChunks(source).begin(move);
    return move;
  }

  async #waitForRoom(): Promise<void> {
    if (this.#mustPause) return;
    this.#isWaiting = true;
    await this.#room.promise;
    this.#isWaiting = false;
  }

  /** Returns how many were copied, durably, before it had to pause. */
  async #copy(moves: readonly ChunkMove[]): Promise<number> {
    const options = {
      chunkSize: this.#parts.settings.chunkSize,
      // A free chunk reads as zeroes before it is taken.
      skipsHoles: true,
      mustStop: () => this.#mustPause,
      spend: (bytes: number) => this.#spend(bytes),
    };
    let copied = 0;
    for (const move of moves) {
      if (!await copyChunk(move, options)) break;
      copied++;
    }
    await this.#flush(moves.slice(0, copied));
    return copied;
  }

  /** Counts what was copied; others have a turn now and then. */
  async #spend(bytes: number): Promise<void> {
    await this.#rate.spend(bytes);
    this.#sinceTurn += bytes;
    if (this.#sinceTurn < TURN_BYTES) return;
    this.#sinceTurn = 0;
    await turn();
  }

  /** The copies are durable: from here on the new places count. */
  async #conclude(moves: readonly ChunkMove[]): Promise<void> {
    const { map, format, releases, fail } = this.#parts;
    const sound = moves.filter((move) => move.fault === undefined);
    // Before anything is recorded: it would be the place of a stale copy.
    for (const move of moves) movingChunks(move.source).assertMoving(move);
    for (const move of moves) {
      if (move.fault !== undefined) this.#undo(move);
    }
    try {
      for (const { virtualChunk, target, to } of sound) {
        format.recordMapping(virtualChunk, target, to);
        map.set(virtualChunk, target, to);
      }
      for (const move of sound) movingChunks(move.source).end(move);
      await this.#flush(sound);
      for (const [source, its] of Map.groupBy(sound, (move) => move.source)) {
        const chunks = its.map(({ from }) => from).toSorted((a, b) => a - b);
        format.recordRelease(source, chunks);
        releases.add(source, chunks);
      }
    } catch (error) {
      throw fail(error);
    }
    for (const { virtualChunk } of sound) map.unpin(virtualChunk);
    this.#movedBytes += sound.length * this.#parts.settings.chunkSize;
  }

  /** The chunk stays where it was; its would-be place is free again. */
  #undo(move: ChunkMove): void {
    const { map, releases } = this.#parts;
    movingChunks(move.source).end(move);
    map.unpin(move.virtualChunk);
    releases.add(move.target, [move.to]);
  }

  async #flush(moves: readonly ChunkMove[]): Promise<void> {
    const targets = new Set(moves.map(({ target }) => target.device));
    try {
      await flushAll([...targets]);
    } catch (error) {
      throw this.#parts.fail(error);
    }
  }
}

function movingChunks({ moves }: Component): MovingChunks {
  assert(moves !== undefined, "chunks are moved off what is to leave");
  return moves;
}
