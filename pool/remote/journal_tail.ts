/**
 * The tail of a journal: the oldest record that is needed, and the header that
 * leads to it.
 *
 * A header is written only at the beginning of an `fdatasync`, to the slot that
 * does not hold the last durable one; and no `fdatasync` begins while another
 * one runs. So a power cut leaves a sound header, and the space before the
 * durable tail may be used again.
 *
 * Not each `fdatasync` writes one: another page makes it take longer. What an
 * older header leads to is sent to the far side once more after a crash. That
 * undoes nothing: the flush mark shows whether the journal has all of it.
 *
 * @module
 */

import type { Completion } from "../../device/block/mod.ts";
import {
  encodeJournalHeader,
  JOURNAL_RING_START,
  JOURNAL_SLOT_SIZE,
  type JournalHeader,
} from "../../metadata/journal/mod.ts";
import type { JournalDevice } from "./journal_recovery.ts";
import type { JournalRecord } from "./journal_record.ts";

/** The share of the ring that the tail moves on before a header has to say so. */
const HEADER_SHARE = 1 / 32;

/** The oldest record that is needed. */
interface Tail {
  readonly sequence: number;
  /** Where the record lies, or will lie, in the file. */
  readonly position: number;
  /** Bytes of records before it since the journal was opened. */
  readonly end: number;
}

/** The tail of a journal. */
export class JournalTail {
  readonly #device: Pick<JournalDevice, "flush" | "size" | "write">;
  #tail: Tail;
  /** The tail of the last durable header. */
  #durable: Tail;
  #header: JournalHeader;
  /** Where the records of earlier openings end: bytes, as `Tail.end`. */
  readonly #recovered: number;
  #slot: number;
  /** Whether the next `fdatasync` has to free all that can be freed. */
  #frees = false;
  #syncing: Promise<void> | undefined;
  #nextSync: Promise<void> | undefined;

  /**
   * Begins with a durable header.
   *
   * @param device The file.
   * @param header The header.
   * @param slot The slot of the header.
   * @param recovered Bytes of records of earlier openings.
   */
  constructor(
    device: Pick<JournalDevice, "flush" | "size" | "write">,
    header: JournalHeader,
    slot: number,
    recovered: number,
  ) {
    this.#recovered = recovered;
    this.#device = device;
    this.#header = header;
    this.#slot = slot;
    const { tailSequence: sequence, tailPosition: position } = header;
    this.#tail = this.#durable = { sequence, position, end: 0 };
  }

  /** Where the space ends that may be used again: bytes, as `Tail.end`. */
  get freeUpTo(): number {
    return this.#durable.end;
  }

  /** Where the records that are needed begin: bytes, as `Tail.end`. */
  get end(): number {
    return this.#tail.end;
  }

  /**
   * Moves the tail behind a record.
   *
   * @param last The record.
   */
  moveBehind({ sequence, end }: Pick<JournalRecord, "end" | "sequence">): void {
    const tail = this.#tail;
    if (sequence < tail.sequence) return;
    const capacity = this.#device.size - JOURNAL_RING_START;
    const ring = tail.position - JOURNAL_RING_START + (end - tail.end);
    const position = JOURNAL_RING_START + ring % capacity;
    this.#tail = { sequence: sequence + 1, position, end };
  }

  /**
   * Makes the file durable, and the tail as it is when the `fdatasync` begins, if
   * it has moved far.
   *
   * @param frees Whether the tail becomes durable however far it has moved.
   *   Default: false.
   * @returns Done when they are.
   * @throws {VirstorError} `io`, at every call after the first failure.
   */
  sync(frees = false): Promise<void> {
    this.#frees ||= frees;
    if (this.#nextSync !== undefined) return this.#nextSync;
    if (this.#syncing === undefined) return this.#start();
    this.#nextSync = this.#syncing.catch(() => {}).then(() => {
      this.#nextSync = undefined;
      return this.#start();
    });
    return this.#nextSync;
  }

  /**
   * Makes the file and the tail durable if the tail has moved far, and no
   * `fdatasync` runs.
   *
   * @returns Done when they are; undefined if there is nothing to do.
   * @throws {VirstorError} `io`, as {@linkcode sync}.
   */
  syncIfDue(): Completion {
    return this.#syncing === undefined && this.#isDue ? this.sync() : undefined;
  }

  /** Waits for the `fdatasync` in flight. Never fails. */
  async settled(): Promise<void> {
    await this.#nextSync?.catch(() => {});
    await this.#syncing?.catch(() => {});
  }

  #start(): Promise<void> {
    const syncing = this.#sync().finally(() => {
      this.#syncing = undefined;
    });
    this.#syncing = syncing;
    return syncing;
  }

  get #isDue(): boolean {
    const moved = this.#tail.end - this.#durable.end;
    return moved > 0 && moved >= this.#device.size * HEADER_SHARE;
  }

  async #sync(): Promise<void> {
    const tail = this.#tail;
    const frees = this.#frees && tail.end > this.#durable.end;
    this.#frees = false;
    if (!frees && !this.#isDue) {
      await this.#device.flush();
      return;
    }
    const slot = 1 - this.#slot;
    const header = {
      ...this.#header,
      counter: this.#header.counter + 1,
      tailSequence: tail.sequence,
      tailPosition: tail.position,
      // Behind the last record of this opening an older one may lie, which a
      // power cut has separated from those before it. It has the next number.
      ...tail.end >= this.#recovered && { tailEpoch: this.#header.epoch },
    };
    const bytes = encodeJournalHeader(header, slot);
    await this.#device.write(bytes, slot * JOURNAL_SLOT_SIZE);
    await this.#device.flush();
    this.#slot = slot;
    this.#header = header;
    this.#durable = tail;
  }
}
