/**
 * The requests in flight on one connection, by cookie.
 *
 * @module
 */

import type { Failure } from "../../wire/mod.ts";
import type { Command } from "./command.ts";
import { Coverage } from "./coverage.ts";

/** Low bits of a cookie that are the index of a slot. */
const INDEX_BITS = 12;
const INDEX_MASK = (1 << INDEX_BITS) - 1;

/** The most requests in flight on one connection. */
export const DEPTH_MAX: number = INDEX_MASK;

/** Numbers connections, so that no two share cookies. */
let connections = 0;

/** A request in flight. */
export interface Slot {
  /** The request. */
  readonly command: Command;
  /** Index in the table. */
  readonly index: number;
  /** High 32 bits of the cookie, signed. */
  readonly cookieHigh: number;
  /** Low 32 bits of the cookie, signed. */
  readonly cookieLow: number;
  /** When the request left, milliseconds. */
  readonly sentAt: number;
  /** Bytes of a READ that have arrived. */
  readonly coverage: Coverage;
  /** First error that a chunk reported. */
  failure: Failure | undefined;
  /** Whether a BLOCK_STATUS chunk has arrived. */
  hasStatus: boolean;
}

/** The requests in flight on one connection. */
export class TagTable {
  readonly #slots: (Slot | undefined)[] = [];
  readonly #free: number[] = [];
  readonly #cookieHigh = ++connections | 0;
  #uses = 0;
  #count = 0;

  /** Requests in flight. */
  get count(): number {
    return this.#count;
  }

  /**
   * Gives a request a cookie that was not used before.
   *
   * @param command The request.
   * @param now The time, milliseconds.
   * @returns Its slot.
   */
  add(command: Command, now: number): Slot {
    const index = this.#free.pop() ?? this.#slots.length;
    this.#uses += 1;
    if (command.since === 0) command.since = now;
    const slot = {
      command,
      index,
      cookieHigh: this.#cookieHigh,
      cookieLow: (this.#uses << INDEX_BITS) | index,
      sentAt: now,
      coverage: new Coverage(),
      failure: undefined,
      hasStatus: false,
    };
    this.#slots[index] = slot;
    this.#count += 1;
    return slot;
  }

  /**
   * Finds a request by the cookie of a reply.
   *
   * @param cookieHigh High 32 bits, signed.
   * @param cookieLow Low 32 bits, signed.
   * @returns The request's slot; `undefined` for a cookie that is not in
   *   flight.
   */
  find(cookieHigh: number, cookieLow: number): Slot | undefined {
    const slot = this.#slots[cookieLow & INDEX_MASK];
    return slot !== undefined && slot.cookieHigh === cookieHigh &&
        slot.cookieLow === cookieLow
      ? slot
      : undefined;
  }

  /**
   * Removes a request that has ended.
   *
   * @param slot The request's slot.
   */
  remove(slot: Slot): void {
    this.#slots[slot.index] = undefined;
    this.#free.push(slot.index);
    this.#count -= 1;
  }

  /**
   * The oldest request in flight, but for those of the connection itself.
   *
   * @returns When it left first, milliseconds; `Infinity` if there is none.
   */
  oldest(): number {
    let least = Infinity;
    for (const slot of this.#slots) {
      if (slot === undefined || slot.command.isBound) continue;
      least = Math.min(least, slot.command.since);
    }
    return least;
  }

  /**
   * Removes all requests.
   *
   * @returns The requests, in their order.
   */
  takeAll(): Command[] {
    const commands = this.#slots.flatMap((slot) =>
      slot === undefined ? [] : [slot.command]
    );
    this.#slots.length = 0;
    this.#free.length = 0;
    this.#count = 0;
    return commands.sort((a, b) => a.sequence - b.sequence);
  }
}
