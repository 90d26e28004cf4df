/**
 * The free chunks of a pool: which is next, and that it reads as zeroes.
 *
 * Chunks are allocated in order, component after component, as format 1 wants
 * it. A chunk is handed out only once it is known to read as zeroes *durably*:
 * then data and map need no order between them on disk, for after a crash a
 * mapped chunk holds zeroes or its own data, never another's. So free chunks
 * are made ready ahead of their use, some at a time: what is a hole is ready;
 * else holes are punched where the file system can, and zeroes written
 * elsewhere.
 *
 * @module
 */

import { type ErrorCode, messageOf, VirstorError } from "../errors.ts";
import type { Component } from "./component.ts";
import type { PoolFormat } from "./pool_format.ts";

/** Punch this many bytes ahead: it costs next to nothing. */
const PUNCH_AHEAD_BYTES = 1 << 30;
/** Write this many zero bytes ahead. */
const ZERO_AHEAD_BYTES = 16 << 20;

/** Who is told of changes. */
export interface SpaceObserver {
  /** Free chunks have been made ready. */
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
  #current: number;
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
    const last = format.members.findLastIndex((one) => one.used > 0);
    this.#current = Math.max(0, last);
    this.recount();
  }

  /** Chunks that are free. */
  get free(): number {
    return this.#free;
  }

  /** Whether waiting helps: chunks are free, and become ready by themselves. */
  get willBeReady(): boolean {
    return this.#preparing > 0 ||
      this.#format.members.some((one) => one.fenced);
  }

  /** Counts again, after components joined or left. */
  recount(): void {
    this.#free = 0;
    for (const one of this.#format.members) this.#free += one.free;
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
    const { members } = this.#format;
    let component = members[this.#current];
    while (component !== undefined && component.free === 0) {
      const next = members[this.#current + 1];
      if (next === undefined || next.fenced) return undefined;
      this.#format.recordSwitch(component, next);
      this.#current++;
      component = next;
    }
    if (component === undefined || component.fenced) return undefined;
    if (component.next >= component.ready) this.#prepare(component);
    return component.next < component.ready ? component : undefined;
  }

  /**
   * Takes the chunk that {@linkcode fresh} offered.
   *
   * @param component The component.
   */
  take(component: Component): void {
    component.next++;
    this.#free--;
    const left = (component.ready - component.next) * this.#chunkSize;
    if (left < aheadBytes(component) / 2) this.#prepareAhead(component);
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
    const component = this.#format.members[this.#current];
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
    const { chunkCount } = component.geometry;
    const start = Math.max(component.next, component.ready);
    if (component.preparing !== undefined || start >= chunkCount) return;
    const ahead = Math.max(
      1,
      Math.floor(aheadBytes(component) / this.#chunkSize),
    );
    const end = Math.min(chunkCount, start + ahead);
    component.spoiled = false;
    if (this.#isHole(component, start, end)) {
      component.ready = end;
      return;
    }
    this.#preparing++;
    component.preparing = this.#makeReady(component, start, end).then(
      (error) => {
        component.preparing = undefined;
        this.#preparing--;
        if (error === undefined) this.#observer.ready();
        else this.#observer.unready(error);
      },
    );
  }

  /**
   * Whether chunks have never been written, or were punched: then they read as
   * zeroes. Durably, too, because everything was flushed when the pool was
   * opened, and nobody has touched free chunks since.
   */
  #isHole(component: Component, start: number, end: number): boolean {
    const size = this.#chunkSize;
    return component.device.extents(start * size, (end - start) * size)
      .every(({ kind }) => kind === "hole");
  }

  async #makeReady(
    component: Component,
    start: number,
    end: number,
  ): Promise<VirstorError | undefined> {
    const { device } = component;
    const size = this.#chunkSize;
    let code: ErrorCode = "io";
    try {
      await device.writeZeroes(start * size, (end - start) * size);
      // From here on they look like holes, durable or not.
      code = "failed";
      await device.flush();
      if (!component.spoiled) component.ready = end;
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

function aheadBytes(component: Component): number {
  return component.device.capabilities.discard
    ? PUNCH_AHEAD_BYTES
    : ZERO_AHEAD_BYTES;
}
