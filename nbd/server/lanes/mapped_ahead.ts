/**
 * Chunks that the pool has mapped ahead of a client's first writes, and that it
 * gets back if the client does not write to them.
 *
 * @module
 */

import type { Leases } from "../../../device/leases/mod.ts";
import { LANE_MAPPED_AHEAD_MS } from "../../wire/mod.ts";

/** Chunks in a row. */
interface Range {
  /** A byte of the first one. */
  readonly offset: number;
  /** How many. */
  readonly count: number;
}

/**
 * What was mapped ahead of one client. A range is given back when the client asks
 * for more for the second time after it, since it may send requests out of
 * order; when the client has not asked for a while; and when it leaves.
 */
export class MappedAhead {
  readonly #leases: Pick<Leases, "mapAhead" | "giveBack" | "memory">;
  readonly #idleMs: number;
  readonly #ranges: Range[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Whether the client has asked since the timer ran. */
  #isInUse = false;

  /**
   * Begins with nothing.
   *
   * @param leases Where chunks are mapped.
   * @param idleMs How long ranges are kept while the client does not ask,
   *   milliseconds; once to twice as long.
   */
  constructor(
    leases: Pick<Leases, "mapAhead" | "giveBack" | "memory">,
    idleMs: number = LANE_MAPPED_AHEAD_MS,
  ) {
    this.#leases = leases;
    this.#idleMs = idleMs;
  }

  /**
   * Maps chunks ahead.
   *
   * @param last A byte of the chunk before the first one.
   * @param most How many, at most.
   */
  map(last: number, most: number): void {
    this.#isInUse = true;
    if (this.#ranges.length > 1) this.#giveBack(1);
    const offset = last + this.#leases.memory.chunkSize;
    const count = this.#leases.mapAhead(offset, most);
    if (count === 0) return;
    this.#ranges.push({ offset, count });
    this.#timer ??= this.#later();
  }

  /** The client is gone: everything is given back. */
  end(): void {
    clearTimeout(this.#timer);
    this.#giveBack(this.#ranges.length);
  }

  /** Gives the oldest ranges back. */
  #giveBack(count: number): void {
    for (const { offset, count: chunks } of this.#ranges.splice(0, count)) {
      this.#leases.giveBack(offset, chunks);
    }
  }

  #later(): ReturnType<typeof setTimeout> {
    this.#isInUse = false;
    const timer = setTimeout(() => {
      this.#timer = undefined;
      if (!this.#isInUse) this.#giveBack(this.#ranges.length);
      if (this.#ranges.length > 0) this.#timer = this.#later();
    }, this.#idleMs);
    Deno.unrefTimer(timer);
    return timer;
  }
}
