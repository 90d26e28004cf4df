/**
 * Changes of a remote component: to the journal, and to everything that has to
 * know of them.
 *
 * @module
 */

import { type Completion, turns } from "../../device/block/mod.ts";
import { inBytes, VirstorError } from "../../errors.ts";
import type { Drain } from "./drain.ts";
import { besideRoom } from "./owner_block.ts";
import type { Journal } from "./journal.ts";
import type { JournalRecord, Span } from "./journal_record.ts";
import type { KeptTail } from "./kept_tail.ts";
import { Overlay } from "./overlay.ts";
import type { RoomQueue } from "./room_queue.ts";

/** The longest range that is zeroed at once: the overlay has an entry a MiB. */
const ZEROES_MAX = 2 ** 30;

/** What changes need. */
export interface ChangesOptions {
  /** The far side's URI, without a password. */
  readonly path: string;
  /** The journal. */
  readonly journal: Journal;
  /** What is newer than on the far side. */
  readonly overlay: Overlay;
  /** Brings the records to the far side. */
  readonly drain: Drain;
  /** Changes that wait for room. */
  readonly room: RoomQueue;
  /** The bytes of the owner block, which no change reaches. */
  readonly reserved: Span | undefined;
  /** Called after each record. */
  readonly onRecord: () => void;
  /** Throws if the component takes no changes. */
  readonly check: () => void;
}

/** A change, or the rest of one, that waits for room in the journal. */
export interface WaitingChange {
  /** The first byte, on the component. */
  readonly offset: number;
  /** Bytes of the range. */
  readonly length: number;
  /** What is written; undefined for zeroes. */
  readonly bytes: Uint8Array | undefined;
}

/**
 * The changes of a remote component. Reads see a change before the call
 * returns, also one that waits for room; it is complete when the journal has it.
 */
export class Changes {
  /** The end of the component in memory, if it is kept. */
  kept: KeptTail | undefined;
  /** What waits for room, newer than all that the journal has. */
  readonly waiting = new Overlay<WaitingChange>();
  readonly #options: ChangesOptions;

  /**
   * Prepares the changes.
   *
   * @param options What they need.
   */
  constructor(options: ChangesOptions) {
    this.#options = options;
  }

  /**
   * Writes.
   *
   * @param source The bytes; the caller's again when the call returns.
   * @param offset The first byte.
   * @returns A promise while there is no room.
   * @throws {VirstorError} `io`, `no-space`, `unsupported`.
   */
  write(source: Uint8Array, offset: number): Completion {
    this.#refuseReserved(offset, source.length);
    const { journal, room } = this.#options;
    let bytes = source;
    let waits: WaitingChange | undefined;
    return room.run(source.length, (done) => {
      const part = bytes.subarray(done, done + journal.payloadMax);
      const record = journal.write(part, offset + done);
      if (record === undefined) return 0;
      if (waits === undefined) this.kept?.write(part, offset + done);
      this.#appended(record);
      this.#waitsNoMore(waits, offset + done, record.length);
      return record.length;
    }, (done) => {
      bytes = source.slice();
      const rest = bytes.subarray(done);
      waits = { offset: offset + done, length: rest.length, bytes: rest };
      this.waiting.add(waits);
      this.kept?.write(rest, offset + done);
      return rest.length;
    });
  }

  /**
   * Zeroes a range.
   *
   * @param offset The first byte.
   * @param length How many.
   * @param noHole Whether the range keeps its space.
   * @returns A promise while there is no room, and for a very long range.
   * @throws {VirstorError} `io`, `no-space`.
   */
  zero(offset: number, length: number, noHole: boolean): Completion {
    return length <= ZEROES_MAX
      ? this.#zero(offset, length, noHole)
      : this.#zeroInSteps(offset, length, noHole);
  }

  async #zeroInSteps(
    offset: number,
    length: number,
    noHole: boolean,
  ): Promise<void> {
    const { drain, journal, check } = this.#options;
    for (let done = 0; done < length; done += ZEROES_MAX) {
      check();
      const count = Math.min(ZEROES_MAX, length - done);
      const pending = this.#zero(offset + done, count, noHole);
      if (pending !== undefined) await pending;
      await drain.arrival(journal.last.sequence);
      await turns.next(this);
    }
  }

  #zero(offset: number, length: number, noHole: boolean): Completion {
    const { journal, room, reserved } = this.#options;
    let waits: WaitingChange | undefined;
    return room.run(length, (done) => {
      const at = offset + done;
      const { skipped, count } = besideRoom(reserved, at, length - done);
      if (count > 0) {
        const record = journal.zero(at + skipped, count, noHole);
        if (record === undefined) return 0;
        if (waits === undefined) this.kept?.zero(at + skipped, count);
        this.#appended(record);
      }
      this.#waitsNoMore(waits, at, skipped + count);
      return skipped + count;
    }, (done) => {
      // Nothing reads the owner block through the component.
      const left = length - done;
      waits = { offset: offset + done, length: left, bytes: undefined };
      this.waiting.add(waits);
      this.kept?.zero(offset + done, left);
      return 0;
    });
  }

  #appended(record: JournalRecord): void {
    const { overlay, drain, onRecord } = this.#options;
    overlay.add(record);
    onRecord();
    drain.push(record);
  }

  /** The journal has a part of a change, which newer ones may overlap. */
  #waitsNoMore(
    waits: WaitingChange | undefined,
    start: number,
    length: number,
  ): void {
    if (waits === undefined) return;
    this.waiting.drop(waits, { start, end: start + length });
  }

  #refuseReserved(offset: number, length: number): void {
    const { reserved, path } = this.#options;
    if (reserved === undefined) return;
    if (offset >= reserved.end || offset + length <= reserved.start) return;
    throw new VirstorError(
      "unsupported",
      `Cannot write ${inBytes(length)} at ${offset} of "${path}": they reach ` +
        "into the owner block, the pool has too many members or snapshots " +
        "for a remote component",
    );
  }
}
