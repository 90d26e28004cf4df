/**
 * The free chunks of a pool: which is next, and that it reads as zeroes.
 *
 * Chunks are allocated in order, component after component, the lowest first:
 * format 1 wants it so, and it keeps files short. A chunk is handed out only
 * once it is known to read as zeroes *durably*: then data and map need no
 * order between them on disk, for after a crash a mapped chunk holds zeroes or
 * its own data, never another's. So free chunks are made ready ahead of their
 * use, some at a time: what is a hole is ready; else holes are punched where
 * the file system can, and zeroes written elsewhere. Chunks that are given back
 * are ready before they are free (`releases.ts`).
 *
 * @module
 */

import { type ErrorCode, messageOf, VirstorError } from "../../errors.ts";
import { type Component, PIECE_BYTES, turn } from "../core/mod.ts";
import type { PoolFormat } from "../format/mod.ts";

/** Punch this many bytes ahead: it costs next to nothing. */
const PUNCH_AHEAD_BYTES = 1 << 30;
/** Write this many zero bytes ahead. */
const ZERO_AHEAD_BYTES = 16 << 20;
/** Runs of free chunks that are made ready together. */
const RUNS_MAX = 64;
/** Who is told of changes. */
export interface SpaceObserver {
  /** Chunks have become free, or free ones ready. */
  ready(): void;
  /**
   * Free chunks could not be made ready. `failed`: nobody knows any more
   * whether they are; `io`: they are not, another try may succeed.
   */
  unready(error: VirstorError): void;
}

/** The free chunks of a pool. */
export class Space {
  readonly #format: PoolFormat;
  readonly #chunkSize: number;
  readonly #observer: SpaceObserver;
  /** No component before this one has a chunk to hand out. */
  #current = 0;
  #preparing = 0;
  #free = 0;

  /**
   * Takes stock.
   *
   * @param format The pool's format, with its components.
   * @param chunkSize Bytes of a chunk.
   * @param observer Told of changes.
   */
  constructor(
    format: PoolFormat,
    chunkSize: number,
    observer: SpaceObserver,
  ) {
    this.#format = format;
    this.#chunkSize = chunkSize;
    this.#observer = observer;
    this.recount();
  }

  /** Chunks that can be handed out, ready or not. */
  get free(): number {
    return this.#free;
  }

  /** Whether waiting helps: chunks become ready, or free, by themselves. */
  get willBeReady(): boolean {
    const { members, isDense } = this.#format;
    return this.#preparing > 0 ||
      members.some((one) =>
        isDense ? one.fenced : !one.fenced && one.releasing > 0
      );
  }

  /** Counts again, after components joined, left or were fenced. */
  recount(): void {
    const { members, isDense } = this.#format;
    this.#free = 0;
    for (const one of members) if (!one.fenced) this.#free += one.free;
    const last = members.findLastIndex((one) => one.used > 0);
    this.#current = isDense ? Math.max(0, last) : 0;
  }

  /**
   * The component whose `next` chunk may be used now. Nothing is taken yet:
   * first its data are written, then {@linkcode take} is called, with nothing
   * in between, so that a failed write leaves no gap.
   *
   * @returns The component, or undefined if there is none, or not yet.
   * @throws {VirstorError} `io` if the labels cannot be written.
   */
  fresh(): Component | undefined {
    const { members, isDense } = this.#format;
    let component = members[this.#current];
    while (
      component !== undefined && (component.free === 0 || component.fenced)
    ) {
      const next = members[this.#current + 1];
      if (next === undefined) return undefined;
      if (isDense) {
        if (component.fenced || next.fenced) return undefined;
        this.#format.recordSwitch(component, next);
      }
      this.#current++;
      component = next;
    }
    if (component === undefined) return undefined;
    if (component.next >= component.ready) this.#prepare(component);
    return component.next < component.ready ? component : undefined;
  }

  /**
   * Takes the chunk that {@linkcode fresh} offered: it is in use from now on.
   *
   * @param component The component.
   */
  take(component: Component): void {
    component.use(component.next);
    this.#free--;
    const left = (component.ready - component.next) * this.#chunkSize;
    if (left < aheadBytes(component) / 2) this.#prepareAhead(component);
  }

  /**
   * Takes a chunk back that reads as zeroes, durably.
   *
   * @param component Where it is.
   * @param chunk Its number.
   */
  giveBack(component: Component, chunk: number): void {
    component.freeChunks.add(chunk);
    if (component.fenced) return;
    this.#free++;
    this.#current = Math.min(this.#current, component.index);
  }

  /**
   * Takes note that a write to the chunk that {@linkcode fresh} offered has
   * failed: some of it may be there, so the chunk has to be made ready again.
   *
   * @param component The component.
   */
  spoil(component: Component): void {
    component.ready = component.next;
    component.spoiled = true;
  }

  /**
   * Makes chunks ready before the first write needs them, where that costs
   * nothing.
   */
  async prepareFirst(): Promise<void> {
    const { members } = this.#format;
    const component = members.find((one, index) =>
      index >= this.#current && one.free > 0 && !one.fenced
    );
    if (component?.device.capabilities.discard !== true) return;
    this.#prepare(component);
    await component.preparing;
  }

  /** Waits until nothing is being made ready. */
  async settle(): Promise<void> {
    for (const one of this.#format.members) await one.preparing;
  }

  /** Makes more chunks ready, also on the next component if it comes to that. */
  #prepareAhead(component: Component): void {
    if (component.ready < component.geometry.chunkCount) {
      return this.#prepare(component);
    }
    const next = this.#format.members[component.index + 1];
    if (next === undefined || next.fenced || next.ready > next.next) return;
    this.#prepare(next);
  }

  #prepare(component: Component): void {
    const { freeChunks } = component;
    const start = freeChunks.next(Math.max(component.next, component.ready));
    if (component.preparing !== undefined || start >= freeChunks.end) return;
    const ahead = Math.max(
      1,
      Math.floor(aheadBytes(component) / this.#chunkSize),
    );
    const most = Math.min(freeChunks.end, start + ahead);
    const runs = this.#runs(component, start, most);
    const [, reached = start] = runs.at(-1) ?? [];
    const end = runs.length < RUNS_MAX ? most : reached;
    component.spoiled = false;
    const unready = runs.filter((run) => !this.#isHole(component, run));
    if (unready.length === 0) {
      component.ready = end;
      return;
    }
    this.#preparing++;
    component.preparing = this.#makeReady(component, unready, end).then(
      (error) => {
        component.preparing = undefined;
        this.#preparing--;
        if (error === undefined) this.#observer.ready();
        else this.#observer.unready(error);
      },
    );
  }

  /** The free chunks of a range, in some runs: first and end. */
  #runs(component: Component, start: number, end: number): ChunkRun[] {
    const { freeChunks } = component;
    const runs: ChunkRun[] = [];
    for (let at = freeChunks.next(start); at < end && runs.length < RUNS_MAX;) {
      const gap = freeChunks.nextGap(at, end);
      runs.push([at, gap]);
      at = freeChunks.next(gap);
    }
    return runs;
  }

  /**
   * Whether chunks have never been written, or were punched: then they read as
   * zeroes. Durably, too, because everything was flushed when the pool was
   * opened, and nobody has touched free chunks since.
   */
  #isHole(component: Component, [start, end]: ChunkRun): boolean {
    const size = this.#chunkSize;
    const length = (end - start) * size;
    const [first] = component.device.extents(start * size, length, 1);
    return first?.kind === "hole" && first.length === length;
  }

  async #makeReady(
    component: Component,
    runs: readonly ChunkRun[],
    ready: number,
  ): Promise<VirstorError | undefined> {
    const { device } = component;
    const size = this.#chunkSize;
    let code: ErrorCode = "io";
    try {
      for (const [start, end] of runs) {
        for (let at = start * size; at < end * size; at += PIECE_BYTES) {
          const length = Math.min(PIECE_BYTES, end * size - at);
          await device.writeZeroes(at, length);
          await turn();
        }
      }
      // From here on they look like holes, durable or not.
      code = "failed";
      await device.flush();
      if (!component.spoiled) component.ready = ready;
      return undefined;
    } catch (error) {
      return new VirstorError(
        code,
        `Cannot make chunks ready on "${device.path}": ${messageOf(error)}`,
        { cause: error },
      );
    }
  }
}

/** Chunks without a gap: the first, and the one behind the last. */
type ChunkRun = readonly [start: number, end: number];

function aheadBytes(component: Component): number {
  return component.device.capabilities.discard
    ? PUNCH_AHEAD_BYTES
    : ZERO_AHEAD_BYTES;
}
