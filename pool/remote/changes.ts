/**
 * Changes of a remote component: to the journal, and to everything that has to
 * know of them.
 *
 * @module
 */

import { type Completion, turns } from "../../device/block/mod.ts";
import { inBytes, VirstorError } from "../../errors.ts";
import type { Drain } from "./drain.ts";
import { besideRoom } from "./far_owner.ts";
import type { Journal } from "./journal.ts";
import type { JournalRecord, Span } from "./journal_record.ts";
import type { KeptTail } from "./kept_tail.ts";
import type { Overlay } from "./overlay.ts";
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
  /** Called after each change. */
  readonly onChange: () => void;
  /** Throws if the component takes no changes. */
  readonly check: () => void;
}

/** The changes of a remote component. */
export class Changes {
  /** The end of the component in memory, if it is kept. */
  kept: KeptTail | undefined;
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
    return room.run(source.length, (done) => {
      const part = bytes.subarray(done, done + journal.payloadMax);
      const record = journal.write(part, offset + done);
      if (record === undefined) return 0;
      this.kept?.write(part, offset + done);
      this.#changed(record);
      return record.length;
    }, () => {
      bytes = source.slice();
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
    return room.run(length, (done) => {
      const at = offset + done;
      const { skipped, count } = besideRoom(reserved, at, length - done);
      if (count === 0) return skipped;
      const record = journal.zero(at + skipped, count, noHole);
      if (record === undefined) return 0;
      this.kept?.zero(at + skipped, count);
      this.#changed(record);
      return skipped + count;
    });
  }

  #changed(record: JournalRecord): void {
    const { overlay, drain, onChange } = this.#options;
    overlay.add(record);
    onChange();
    drain.push(record);
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
