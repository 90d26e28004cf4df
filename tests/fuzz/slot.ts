/**
 * A part of the kept disk that one worker has for itself, and what must be in
 * it.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { NBD, type RawReply, type RawRequest } from "../helpers/nbd_client.ts";
import { SLOT_SIZE } from "./world.ts";

/** Bytes that are known or unknown together. */
export const BLOCK = 4096;

/** What must be in a part of a disk. */
export class Slot {
  /** Its first byte on the disk. */
  readonly offset: number;
  readonly #bytes = new Uint8Array(SLOT_SIZE);
  /** Blocks that were trimmed: they read as before or as zeroes. */
  readonly #unknown = new Set<number>();

  /**
   * Creates a slot of zeroes, as those of a fresh disk are.
   *
   * @param index Which one of the disk.
   */
  constructor(index: number) {
    this.offset = index * SLOT_SIZE;
  }

  /**
   * Checks what was read, and notes what was written. No request of those that
   * were under way together overlaps with a change by another.
   *
   * @param request The request, inside the slot.
   * @param reply Its reply, a success.
   */
  note(request: RawRequest, reply: Pick<RawReply, "payload">): void {
    const { command, payload } = request;
    const start = Number(request.offset ?? 0) - this.offset;
    const length = payload?.length ?? Number(request.length ?? 0);
    const end = start + length;
    switch (command) {
      case NBD.CMD_READ:
        return this.#check(start, reply.payload);
      case NBD.CMD_WRITE:
        this.#bytes.set(payload ?? new Uint8Array(0), start);
        return this.#know(start, end);
      case NBD.CMD_WRITE_ZEROES:
        this.#bytes.fill(0, start, end);
        return this.#know(start, end);
      case NBD.CMD_TRIM:
        for (let at = start; at < end; at += BLOCK - at % BLOCK) {
          this.#unknown.add(Math.floor(at / BLOCK));
        }
    }
  }

  /** What is overwritten as a whole is known again. */
  #know(start: number, end: number): void {
    for (let at = Math.ceil(start / BLOCK); (at + 1) * BLOCK <= end; at++) {
      this.#unknown.delete(at);
    }
  }

  #check(start: number, actual: Uint8Array): void {
    for (let at = start; at < start + actual.length;) {
      const end = Math.min(start + actual.length, at + BLOCK - at % BLOCK);
      const known = !this.#unknown.has(Math.floor(at / BLOCK));
      const wanted = this.#bytes.subarray(at, end);
      const got = actual.subarray(at - start, end - start);
      if (known && Buffer.compare(wanted, got) !== 0) {
        throw new Error(
          `Bytes ${this.offset + at} to ${this.offset + end} of the kept ` +
            "disk are not what was written",
        );
      }
      at = end;
    }
  }
}
