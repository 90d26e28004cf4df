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
  counted,
  inBytes,
  isOrAre,
  messageOf,
  VirstorError,
} from "../errors.ts";
import type { Component } from "./component.ts";
import { copyChunk } from "./copy_chunk.ts";
import { flushAll } from "./flush_all.ts";
import type { Move } from "./moving_chunks.ts";
import { MovingChunks } from "./moving_chunks.ts";
import type { PoolParts } from "./parts.ts";
import { RateLimit } from "./rate_limit.ts";
import { turn } from "./turn.ts";

/** Chunks are moved so many bytes at a time, one chunk at least. */
const BATCH_BYTES = 32 << 20;
/** And so many chunks at most. */
const BATCH_CHUNKS = 256;
/** So many bytes are copied before others have a turn. */
const TURN_BYTES = 1 << 20;
/** So many chunks are looked at before others have a turn. */
const LOOKS_A_TURN = 65_536;

/** How an evacuation does. */
export interface EvacuationStatus {
  /** The components that are to leave. */
  readonly components: readonly string[];
  /** Whether it goes on, waits for free chunks, or was stopped by an error. */
  readonly state: "moving" | "waiting" | "stopped";
  /** Why it was stopped; else "". */
  readonly reason: string;
  /** Bytes moved since the pool was opened or the evacuation asked for. */
  readonly movedBytes: number;
  /** Bytes still to be moved. */
  readonly leftBytes: number;
  /** Bytes a second, lately. */
  readonly bytesPerSecond: number;
  /** Seconds left at this rate; null if nobody can tell. */
  readonly secondsLeft: number | null;
}

/** What becomes of an evacuation when a pool is opened. */
export interface ResumeOptions {
  /** It does not go on by itself. */
  readonly paused?: boolean;
  /** The highest rate, bytes a second; 0, none. */
  readonly bytesPerSecond?: number;
}

/** Moves chunks off components that are to leave. */
export class Evacuation {
  readonly #parts: PoolParts;
  /** Ends the membership of components that are empty. */
  readonly #release: (empty: readonly Component[]) => Promise<void>;
  readonly #rate = new RateLimit();
  #running: Promise<void> | undefined;
  #isStopping = false;
  #isEnded = false;
  #isWaiting = false;
  #reason = "";
  #movedBytes = 0;
  #sinceTurn = 0;
  #room = Promise.withResolvers<void>();

  /**
   * Creates one that has nothing to do.
   *
   * @param parts The open pool.
   * @param release Ends the membership of components that are empty.
   */
  constructor(
    parts: PoolParts,
    release: (empty: readonly Component[]) => Promise<void>,
  ) {
    this.#parts = parts;
    this.#release = release;
  }

  /** How it does; undefined if no component is to leave. */
  get status(): EvacuationStatus | undefined {
    const leaving = this.#leaving;
    if (leaving.length === 0) return undefined;
    const { chunkSize } = this.#parts.settings;
    const leftBytes = leaving.reduce((sum, one) => sum + one.used, 0) *
      chunkSize;
    const bytesPerSecond = Math.round(this.#rate.measured);
    const state = this.#running === undefined
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
    this.#isStopping = false;
    for (const one of this.#leaving) {
      if (one.data !== one.device) continue;
      one.data = new MovingChunks(one.device, this.#parts.settings.chunkSize);
    }
    if (this.#running !== undefined) return;
    this.#movedBytes = 0;
    this.#running = this.#run();
  }

  /** Goes on after {@linkcode stop}, at the rate of before. */
  resume(): void {
    this.start(this.#rate.bytesPerSecond);
  }

  /** Chunks may have become free. */
  wake(): void {
    this.#room.resolve();
    this.#room = Promise.withResolvers();
  }

  /**
   * Ends it for now: no chunk is half way afterwards.
   *
   * @returns Done when it has ended.
   */
  async stop(): Promise<void> {
    this.#isStopping = true;
    this.#rate.endPauses();
    this.wake();
    await this.#running;
  }

  /**
   * Ends it for good, as {@linkcode stop}.
   *
   * @returns Done when it has ended.
   */
  async end(): Promise<void> {
    this.#isEnded = true;
    await this.stop();
  }

  get #leaving(): Component[] {
    return this.#parts.format.members.filter((one) => one.evacuating);
  }

  async #run(): Promise<void> {
    try {
      while (!this.#isStopping && this.#leaving.length > 0) {
        const found = await this.#pass();
        const empty = this.#leaving.filter((one) => one.used === 0);
        const isStuck = found === 0 && empty.length === 0;
        if (isStuck && !this.#isStopping && this.#leaving.length > 0) {
          throw new VirstorError(
            "corrupt",
            "Cannot find whose the chunks are that are in use, run virstor " +
              "check",
          );
        }
        if (!this.#isStopping && empty.length > 0) await this.#release(empty);
      }
    } catch (error) {
      if (this.#isStopping) return;
      this.#reason = messageOf(error);
      this.#parts.settings.onEvent({
        kind: "evacuation-failed",
        message: `The evacuation stopped: ${this.#reason}`,
      });
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
    for (let v = 0; !isEnd && !this.#isStopping; v++) {
      v = map.nextMapped(v, map.virtualChunks);
      isEnd = v >= map.virtualChunks;
      if (!isEnd && map.component(v)?.evacuating === true) {
        batch.push(v);
        found++;
      }
      if (++looks % LOOKS_A_TURN === 0) await turn();
      if (batch.length < most && !isEnd) continue;
      while (batch.length > 0 && !this.#isStopping) {
        batch = await this.#moveSome(batch);
      }
    }
    return found;
  }

  /** Moves as many as there is room for; returns the others. */
  async #moveSome(virtualChunks: number[]): Promise<number[]> {
    const moves: Move[] = [];
    const rest = [...virtualChunks];
    try {
      while (rest.length > 0) {
        const move = this.#begin(rest[0] ?? 0);
        if (move === "no room") break;
        if (move !== undefined) moves.push(move);
        rest.shift();
      }
      if (moves.length === 0 && rest.length > 0) await this.#waitForRoom();
      await this.#copy(moves);
    } catch (error) {
      for (const move of moves) this.#undo(move);
      throw error;
    }
    await this.#conclude(moves);
    const faulty = moves.find((move) => move.fault !== undefined);
    if (faulty !== undefined) throw faulty.fault;
    return rest;
  }

  /** Takes a free chunk for a virtual one; undefined if it needs none. */
  #begin(virtualChunk: number): Move | "no room" | undefined {
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
    if (this.#isStopping) return;
    this.#isWaiting = true;
    await this.#room.promise;
    this.#isWaiting = false;
  }

  async #copy(moves: readonly Move[]): Promise<void> {
    const { chunkSize } = this.#parts.settings;
    for (const move of moves) {
      await copyChunk(move, chunkSize, (bytes) => this.#spend(bytes));
    }
    await this.#flush(moves);
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
  async #conclude(moves: readonly Move[]): Promise<void> {
    const { map, format, releases, fail } = this.#parts;
    const sound = moves.filter((move) => move.fault === undefined);
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
  #undo(move: Move): void {
    const { map, releases } = this.#parts;
    movingChunks(move.source).end(move);
    map.unpin(move.virtualChunk);
    releases.add(move.target, [move.to]);
  }

  async #flush(moves: readonly Move[]): Promise<void> {
    const targets = new Set(moves.map(({ target }) => target.device));
    try {
      await flushAll([...targets]);
    } catch (error) {
      throw this.#parts.fail(error);
    }
  }
}

function movingChunks({ data }: Component): MovingChunks {
  assert(data instanceof MovingChunks, "chunks are moved off what is to leave");
  return data;
}

/**
 * Refuses an evacuation for which the other components have no room.
 *
 * @param name The pool's name.
 * @param leaving What is to leave.
 * @param members All components.
 * @param chunkSize Bytes of a chunk.
 * @throws {VirstorError} `no-space`, saying how many bytes are missing.
 */
export function checkRoom(
  name: string,
  leaving: readonly Component[],
  members: readonly Component[],
  chunkSize: number,
): void {
  const plan = roomFor(leaving, members);
  if (plan.used <= plan.free) return;
  throw new VirstorError(
    "no-space",
    `Cannot remove ${counted(leaving.length, "component")} from pool ` +
      `"${name}": ${counted(plan.used, "chunk")} would have to move and ` +
      `${plan.free} ${isOrAre(plan.free)} free on the others, ` +
      `${inBytes((plan.used - plan.free) * chunkSize)} short`,
  );
}

/**
 * What an evacuation needs, and what there is.
 *
 * @param leaving What is to leave.
 * @param members All components.
 * @returns Chunks to be moved; chunks that are free, or will be, on those that
 *   stay, less what others that leave need.
 */
export function roomFor(
  leaving: readonly Component[],
  members: readonly Component[],
): { used: number; free: number } {
  const stay = members.filter((one) => !leaving.includes(one) && !one.fenced);
  const others = members.filter((one) =>
    one.evacuating && !leaving.includes(one)
  );
  const free = stay.reduce((sum, one) => sum + one.free + one.releasing, 0);
  return { used: toMove(leaving), free: Math.max(0, free - toMove(others)) };
}

/** How many chunks have to move, and have no new place yet. */
function toMove(components: readonly Component[]): number {
  return components.reduce((sum, one) => sum + one.used - moving(one), 0);
}

/** How many chunks of a component have a new place, which is taken. */
function moving({ data }: Component): number {
  return data instanceof MovingChunks ? data.count : 0;
}
