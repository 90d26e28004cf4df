/**
 * Sends requests on one connection, many with one call of the system.
 *
 * After the end of the connection it takes no more bytes of a payload: the
 * owner of the payload may have changed them by then. So the server never gets
 * a whole request with wrong bytes.
 *
 * @module
 */

import type { Completion } from "../../../device/block/mod.ts";
import type { ClientStream } from "../connection/mod.ts";
import { encodeRequest } from "./request_encoder.ts";
import type { Slot } from "./tag_table.ts";

/** Bytes that leave with one call of the system. */
const BUFFER_SIZE = 128 * 1024;
/** The longest payload that is copied behind its header, bytes. */
const COPIED_MAX = 32 * 1024;
/**
 * Milliseconds after which bytes that are still being sent have had to wait for
 * room in the buffers of the system.
 */
const BLOCKED_MS = 200;
/** Bytes of the longest header of a request. */
const HEADER_MAX = 32;

/** How requests are sent. */
export interface SenderOptions {
  /** Whether extended headers are negotiated. */
  readonly isExtended: boolean;
  /**
   * Tells whether the connection has ended.
   *
   * @returns True once it has.
   */
  isEnded(): boolean;
  /**
   * Called when bytes that had to wait for room have been taken. That the
   * system takes bytes at once is no sign of life: it has buffers, also for a
   * server that is gone. But only what the server has received makes room.
   */
  onRoom(): void;
}

/** Sends the requests of one connection. */
export class RequestSender {
  readonly #stream: ClientStream;
  readonly #options: SenderOptions;
  readonly #buffer = new Uint8Array(BUFFER_SIZE);
  readonly #view = new DataView(this.#buffer.buffer);

  /**
   * Sends on a connection.
   *
   * @param stream The connection.
   * @param options How.
   */
  constructor(stream: ClientStream, options: SenderOptions) {
    this.#stream = stream;
    this.#options = options;
  }

  /**
   * Sends requests. One call at a time runs.
   *
   * @param slots The requests, in order. Those that have not left when the
   *   connection ends do not leave.
   * @throws {unknown} If the connection breaks.
   */
  async send(slots: readonly Slot[]): Promise<void> {
    const { isExtended } = this.#options;
    let filled = 0;
    for (const slot of slots) {
      const { payload } = slot.command;
      const isCopied = payload !== undefined && payload.length <= COPIED_MAX;
      const size = HEADER_MAX + (isCopied ? payload.length : 0);
      if (filled + size > BUFFER_SIZE) {
        const pending = this.#sendBuffer(filled);
        if (pending !== undefined) await pending;
        filled = 0;
      }
      if (this.#options.isEnded()) return;
      filled += encodeRequest(this.#view, filled, slot, isExtended);
      if (payload === undefined) continue;
      if (isCopied) {
        this.#buffer.set(payload, filled);
        filled += payload.length;
        continue;
      }
      const pending = this.#sendBuffer(filled);
      if (pending !== undefined) await pending;
      filled = 0;
      await this.#sendLong(payload);
    }
    const pending = this.#sendBuffer(filled);
    if (pending !== undefined) await pending;
  }

  #sendBuffer(count: number): Completion {
    const sent = this.#sendNow(this.#buffer, 0, count);
    return sent === count ? undefined : this.#sendRest(sent, count);
  }

  async #sendRest(start: number, end: number): Promise<void> {
    const began = performance.now();
    for (let at = start; at < end && !this.#options.isEnded();) {
      at += await this.#write(at, end, began);
    }
  }

  async #sendLong(payload: Uint8Array): Promise<void> {
    const began = performance.now();
    for (let at = 0; at < payload.length && !this.#options.isEnded();) {
      at = this.#sendNow(payload, at, payload.length);
      if (at === payload.length) return;
      // A copy, since the payload may change as soon as the connection ends.
      const part = payload.subarray(at, at + BUFFER_SIZE);
      this.#buffer.set(part);
      at += await this.#write(0, part.length, began);
    }
  }

  /** Sends some of the buffer, when there is room. */
  async #write(start: number, end: number, began: number): Promise<number> {
    const sent = await this.#stream.write(this.#buffer.subarray(start, end));
    if (performance.now() - began >= BLOCKED_MS) this.#options.onRoom();
    return sent;
  }

  /** Sends what is taken at once; returns where the rest begins. */
  #sendNow(memory: Uint8Array, start: number, end: number): number {
    if (start === end) return end;
    return start + (this.#stream.writeNow?.(memory, start, end) ?? 0);
  }
}
