/**
 * The free chunks of a pool: which one is allocated next, and whether it reads
 * as zeroes.
 *
 * The pool allocates chunks in order: component after component, the lowest
 * free chunk first. Format 1 requires that, and it keeps files short. A chunk
 * is allocated only once it is *ready*: known to read as zeroes, durably. Then
 * data and map need no order between them on disk, since after a crash a mapped
 * chunk holds zeroes or its own data, never other data. So free chunks are made
 * ready ahead of their use, some at a time. A hole is ready. Elsewhere the pool
 * punches holes if the file system can, and writes zeroes if not. Chunks that
 * were mapped before are made ready before they become free (`freeing.ts`).
 *
 * @module
 */

import { type ErrorCode, messageOf, VirstorError } from "../../errors.ts";
import { type Component, PIECE_BYTES, turn } from "../core/mod.ts";
import type { PoolFormat } from "../format/mod.ts";

/** Bytes that are punched ahead: punching costs next to nothing. */
const PUNCH_AHEAD_BYTES = 1 << 30;
/** Bytes that are zeroed ahead where holes cannot be punched. */
const ZERO_AHEAD_BYTES = 16 << 20;
/** The most runs of free chunks that are made ready together. */
const RUNS_MAX = 64;
/** Receives changes of the free chunks. */
export interface SpaceObserver {
  /** Free chunks have become ready, or more chunks have become free. */
  ready(): void;
  /**
   * Free chunks could not be made ready. `failed`: it is unknown what is
   * durable. `io`: they are not ready, and another attempt may succeed.
   */
  unready(error: VirstorError): void;
}

/** The allocator of a pool. */
export class Space {
  readonly #format: PoolFormat;
  readonly #chunkSize: number;
  readonly #observer: SpaceObserver;
  /** The index from which on components may have free chunks. */
  #current = 0;
  #preparing = 0;
  #free = 0;

  /**
   * Creates the allocator, and counts the free chunks.
   *
   * @param format The pool's format, with its components.
   * @param chunkSize Bytes of a chunk.
   * @param observer Receives changes.
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

  /** How many chunks can be allocated, ready or not. */
  get free(): number {
    return this.#free;
  }

  /** Whether more chunks will become ready or free without further action. */
  get willBeReady(): boolean {
    const { members, isDense } = this.#format;
    return this.#preparing > 0 ||
      members.some((one) =>
        isDense ? one.fenced : !one.fenced && one.releasing > 0
      );
  }

  /** Counts free chunks again, after components joined, left or were fenced. */
  recount(): void {
    const { members, isDense } = this.#format;
    this.#free = 0;
    for (const one of members) if (!one.fenced) this.#free += one.free;
    const last = members.findLastIndex((one) => one.used > 0);
    this.#current = isDense ? Math.max(0, last) : 0;
  }

  /**
   * The component whose `next` chunk may be allocated now.
   *
   * This takes nothing. The caller writes the data and then calls
   * {@linkcode take}, with no `await` in between, so that a failed write leaves
   * no gap. Not in format 1, a component whose file system refuses writes, or
   * that does not answer for now, is offered only if no other one has free
   * chunks.
   *
   * @returns The component; undefined if no chunk is free and ready.
   * @throws {VirstorError} `io` if the labels cannot be written.
   */
  fresh(): Component | undefined {
    const component = this.#format.isDense
      ? this.#nextInOrder()
      : this.#nextOpen();
    if (component === undefined) return undefined;
    if (component.next >= component.ready) this.#prepare(component);
    if (component.next < component.ready) return component;
    return component.device.isRemote === true
      ? this.#readyElsewhere()
      : undefined;
  }

  /** A component with ready chunks, in place of one that may take any time. */
  #readyElsewhere(): Component | undefined {
    const { members, isDense } = this.#format;
    if (isDense) return undefined;
    for (const one of members) {
      if (one.free === 0 || one.fenced || !takesChunks(one)) continue;
      if (one.next >= one.ready) this.#prepare(one);
      if (one.next < one.ready) return one;
    }
    return undefined;
  }

  /** The component that format 1 allocates from. */
  #nextInOrder(): Component | undefined {
    const { members } = this.#format;
    let component = members[this.#current];
    while (
      component !== undefined && (component.free === 0 || component.fenced)
    ) {
      const next = members[this.#current + 1];
      if (next === undefined) return undefined;
      if (component.fenced || next.fenced) return undefined;
      this.#format.recordSwitch(component, next);
      this.#current++;
      component = next;
    }
    return component;
  }

  /**
   * The first component with free chunks whose file system does not refuse
   * writes, and that answers. One that does not is tried if no other one has or
   * gets free chunks.
   */
  #nextOpen(): Component | undefined {
    const { members } = this.#format;
    let spare: Component | undefined;
    for (let index = this.#current; index < members.length; index++) {
      const one = members[index];
      if (one === undefined || one.free === 0 || one.fenced) continue;
      if (spare === undefined) this.#current = index;
      if (takesChunks(one)) return one;
      // Writes to a component that does not answer wait; the others fail.
      if (spare === undefined || spare.refusal !== undefined) spare = one;
    }
    const isAwaited = spare !== undefined &&
      members.some((one) =>
        takesChunks(one) && !one.fenced && one.releasing > 0
      );
    return isAwaited ? undefined : spare;
  }

  /**
   * Allocates the chunk that {@linkcode fresh} offered.
   *
   * *Requires*: `fresh` returned this component in the same turn.
   *
   * @param component The component; its `next` chunk counts as used afterwards.
   */
  take(component: Component): void {
    component.use(component.next);
    this.#free--;
    const left = (component.ready - component.next) * this.#chunkSize;
    if (left < aheadBytes(component) / 2) this.#prepareAhead(component);
  }

  /**
   * Makes a chunk available again.
   *
   * *Requires*: the chunk durably reads as zeroes, and its entry is durably
   * free.
   *
   * @param component The component of the chunk.
   * @param chunk Its number on the component.
   */
  giveBack(component: Component, chunk: number): void {
    component.freeChunks.add(chunk);
    if (component.fenced) return;
    this.#free++;
    this.#current = Math.min(this.#current, component.index);
  }

  /**
   * Marks the chunk that {@linkcode fresh} offered as no longer ready, because
   * a write to it failed. Some of the data may be there, so the chunk must be
   * zeroed again.
   *
   * @param component The component.
   */
  spoil(component: Component): void {
    component.ready = component.next;
    component.spoiled = true;
  }

  /**
   * Makes chunks ready before the first write needs them, if the device can
   * punch holes.
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

  /**
   * Waits until no chunk is being made ready.
   *
   * @param components The components to wait for; by default all.
   */
  async settle(
    components: readonly Component[] = this.#format.members,
  ): Promise<void> {
    for (const one of components) await one.preparing;
  }

  /** Makes more chunks ready, also on the next component if necessary. */
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

  /** The first free chunks of a range, as at most {@linkcode RUNS_MAX} runs. */
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
   * Whether chunks are a hole: never written, or punched. A hole reads as
   * zeroes, and does so durably: opening the pool flushed everything, and
   * nothing writes to free chunks.
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
      // From here on the chunks look like holes, whether durable or not.
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

/** A run of consecutive chunks: the first, and the one after the last. */
type ChunkRun = readonly [start: number, end: number];

/** Whether a component takes new chunks as well as any other. */
function takesChunks({ refusal, device }: Component): boolean {
  return refusal === undefined && device.isStalled !== true;
}

function aheadBytes(component: Component): number {
  return component.device.capabilities.discard
    ? PUNCH_AHEAD_BYTES
    : ZERO_AHEAD_BYTES;
}
