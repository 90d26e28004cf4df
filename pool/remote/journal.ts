/**
 * The journal of a remote component: a local file in which every change is
 * complete at once, and from which the far side gets it later.
 *
 * The file is a ring of records behind two header slots. The header says where
 * the oldest record that is needed lies, the tail. The journal gives the space
 * before a tail to new records only when that tail is durable. So after a power
 * cut the header that counts never leads to a record that was overwritten.
 *
 * @module
 */

import type { Completion } from "../../device/block/mod.ts";
import { assert, inBytes, VirstorError } from "../../errors.ts";
import { encodeUuid, UUID_SIZE } from "../../metadata/common/mod.ts";
import {
  encodeJournalHeader,
  type FlushMark,
  JOURNAL_NO_HOLE,
  JOURNAL_RECORD_SIZE,
  JOURNAL_RING_START,
  JOURNAL_SECTOR,
  JOURNAL_SKIP,
  JOURNAL_VERSION,
  JOURNAL_WRITE,
  JOURNAL_ZEROES,
  type JournalHeader,
  journalRecordSize,
  sealJournalRecord,
} from "../../metadata/journal/mod.ts";
import { readBootId } from "../core/mod.ts";
import { beginEpoch } from "./journal_epoch.ts";
import {
  type JournalDevice,
  type JournalOwner,
  nextPosition,
  recoverJournal,
} from "./journal_recovery.ts";
import type { JournalRecord } from "./journal_record.ts";
import type { RecoveredJournal } from "./recovered_journal.ts";
import { JournalTail } from "./journal_tail.ts";

/** The most bytes that one record holds. */
export const JOURNAL_PAYLOAD_MAX: number = 1 << 20;
/** The smallest ring: so many records of the largest payload. */
const RECORDS_MIN = 8;
/** The smallest file of a journal, bytes; it holds short records. */
export const JOURNAL_SIZE_MIN: number = JOURNAL_RING_START + 64 * 1024;

/** The journal of a remote component. */
export class Journal {
  /** The file. */
  readonly path: string;
  /** The UUID of the journal. */
  readonly uuid: string;
  /** The component. */
  readonly owner: JournalOwner;
  /** Bytes of the ring. */
  readonly capacity: number;
  /** The most bytes that one record of this journal holds. */
  readonly payloadMax: number;
  /** What an earlier opening left, oldest first. */
  readonly recovered: readonly JournalRecord[];
  /** Counts the openings of the journal, from 1. */
  readonly epoch: number;
  /** The epoch of the newest record in {@linkcode recovered}; 0 without one. */
  readonly recoveredEpoch: number;
  /** Whether an earlier opening left what is not replayed: a power cut. */
  readonly isLost: boolean;

  readonly #device: JournalDevice;
  readonly #uuidBytes = new Uint8Array(UUID_SIZE);
  readonly #buffer: Uint8Array;
  /** Where the next record lies in the file. */
  #position: number;
  #nextSequence: number;
  /** Bytes of records since the journal was opened; the tail starts at 0. */
  #head: number;
  readonly #tail: JournalTail;

  private constructor(
    device: JournalDevice,
    owner: JournalOwner,
    found: RecoveredJournal,
  ) {
    const { header, slot, records, nextSequence, used } = found;
    this.#device = device;
    this.path = device.path;
    this.owner = owner;
    this.uuid = header.journalUuid;
    this.recovered = records;
    encodeUuid(header.journalUuid, this.#uuidBytes, 0);
    this.capacity = device.size - JOURNAL_RING_START;
    this.payloadMax = payloadMaxOf(this.capacity);
    this.#buffer = new Uint8Array(journalRecordSize(this.payloadMax));
    this.epoch = header.epoch;
    this.recoveredEpoch = found.newestEpoch;
    this.isLost = found.isLost;
    this.#tail = new JournalTail(device, header, slot, used);
    this.#head = used;
    this.#nextSequence = nextSequence;
    const ring = header.tailPosition - JOURNAL_RING_START + used;
    this.#position = JOURNAL_RING_START + ring % this.capacity;
  }

  /**
   * Makes a journal in a file of zeroes, durably.
   *
   * @param device The file. The journal closes it.
   * @param owner The component.
   * @param uuid The UUID of the journal; random by default.
   * @returns The journal, empty.
   * @throws {VirstorError} `invalid` if the file is too small, `io`.
   */
  static async create(
    device: JournalDevice,
    owner: JournalOwner,
    uuid: string = crypto.randomUUID(),
  ): Promise<Journal> {
    const { path, size } = device;
    if (size < JOURNAL_SIZE_MIN || size % JOURNAL_SECTOR !== 0) {
      throw new VirstorError(
        "invalid",
        `Cannot make the journal "${path}": ${inBytes(size)} are not whole ` +
          `sectors, at least ${JOURNAL_SIZE_MIN}`,
      );
    }
    const header: JournalHeader = {
      bootId: readBootId(),
      ...owner,
      counter: 1,
      journalUuid: uuid,
      journalSize: size,
      epoch: 1,
      tailSequence: 1,
      tailPosition: JOURNAL_RING_START,
      tailEpoch: 1,
    };
    await device.write(encodeJournalHeader(header, 0), 0);
    await device.flush();
    return new Journal(device, owner, {
      header,
      slot: 0,
      version: JOURNAL_VERSION,
      records: [],
      nextSequence: 1,
      used: 0,
      newestEpoch: 0,
      isLost: false,
    });
  }

  /**
   * Opens a journal, and finds what an earlier opening has left.
   *
   * *Ensures*: the records that were found are durable.
   *
   * @param device The file. The journal closes it, unless this call throws.
   * @param owner The component.
   * @param mark Its flush mark. Default: it has none.
   * @returns The journal, with its records in `recovered`.
   * @throws {VirstorError} `not-found` if the file holds no journal;
   *   `ForeignJournalError` if it is of another component or generation;
   *   `corrupt`, `io`.
   */
  static async open(
    device: JournalDevice,
    owner: JournalOwner,
    mark?: FlushMark,
  ): Promise<Journal> {
    const found = await recoverJournal(device, owner, mark);
    const { bootId = readBootId() } = owner;
    return new Journal(device, owner, await beginEpoch(device, found, bootId));
  }

  /** Bytes of the ring that are not free. */
  get used(): number {
    return this.#head - this.#tail.freeUpTo;
  }

  /** Bytes of the ring that hold what the far side may lack. */
  get needed(): number {
    return this.#head - this.#tail.end;
  }

  /** The newest record: its number, 0 before the first, and where it ends. */
  get last(): Pick<JournalRecord, "end" | "sequence"> {
    return { sequence: this.#nextSequence - 1, end: this.#head };
  }

  /**
   * Appends a write, in the page cache.
   *
   * @param source The bytes, at most `payloadMax`, not empty.
   * @param offset The first byte on the component.
   * @returns The record; undefined if there is no room.
   * @throws {VirstorError} `io`, `no-space`; then nothing is appended.
   */
  write(source: Uint8Array, offset: number): JournalRecord | undefined {
    assert(source.length <= this.payloadMax, "a payload fits into a record");
    return this.#append(JOURNAL_WRITE, false, offset, source.length, source);
  }

  /**
   * Appends zeroes, in the page cache.
   *
   * @param offset The first byte on the component.
   * @param length How many, above 0.
   * @param noHole Whether the range keeps its space.
   * @returns The record; undefined if there is no room.
   * @throws {VirstorError} `io`, `no-space`; then nothing is appended.
   */
  zero(
    offset: number,
    length: number,
    noHole: boolean,
  ): JournalRecord | undefined {
    return this.#append(JOURNAL_ZEROES, noHole, offset, length, undefined);
  }

  /**
   * Reads from the payload of a write.
   *
   * @param record The record.
   * @param start The first byte, on the component, inside the record.
   * @param target The buffer to fill, not beyond the record.
   * @returns The end of the read.
   * @throws {VirstorError} `io`.
   */
  read(record: JournalRecord, start: number, target: Uint8Array): Completion {
    const device = this.#device;
    const done = this.readCached(record, start, target);
    if (done === target.length) return undefined;
    const at = payloadPosition(record, start, target.length);
    return device.readCold?.(target, at, done) ?? device.read(target, at);
  }

  /**
   * Reads from the payload of a write what is in the page cache.
   *
   * @param record The record.
   * @param start The first byte, on the component, inside the record.
   * @param target The buffer to fill from its start, not beyond the record.
   * @returns Bytes that were read; all where the system does not report what is
   *   cached.
   * @throws {VirstorError} `io`.
   */
  readCached(
    record: JournalRecord,
    start: number,
    target: Uint8Array,
  ): number {
    const device = this.#device;
    const at = payloadPosition(record, start, target.length);
    if (device.readCached !== undefined) return device.readCached(target, at);
    const pending = device.read(target, at);
    assert(pending === undefined, "a journal is read at once");
    return target.length;
  }

  /**
   * Whether a record is still there: its space was not given to another one.
   *
   * @param record The record.
   * @returns Whether it is.
   */
  holds(record: JournalRecord): boolean {
    return record.end > this.#tail.freeUpTo;
  }

  /**
   * Notes that the far side has everything up to a record, durably. The space
   * is free after the next {@linkcode sync} that frees space.
   *
   * @param last The record.
   */
  release(last: Pick<JournalRecord, "end" | "sequence">): void {
    this.#tail.moveBehind(last);
  }

  /**
   * Frees the space of what was released, if it is not little.
   *
   * @returns Done when it is free; undefined if it is little.
   * @throws {VirstorError} `io`, as {@linkcode sync}.
   */
  tidy(): Completion {
    return this.#tail.syncIfDue();
  }

  /**
   * Makes all records durable.
   *
   * @param frees Whether to free the space of what was released. Default: false,
   *   as long as it is little.
   * @returns Done when they are.
   * @throws {VirstorError} `io`, at every call after the first failure.
   */
  sync(frees = false): Promise<void> {
    return this.#tail.sync(frees);
  }

  /**
   * Closes the file, after the `fdatasync` in flight. The records stay.
   *
   * @returns Done when it is closed.
   */
  async close(): Promise<void> {
    await this.#tail.settled();
    await this.#device.close();
  }

  #append(
    kind: number,
    noHole: boolean,
    offset: number,
    length: number,
    payload: Uint8Array | undefined,
  ): JournalRecord | undefined {
    assert(length > 0, "a record holds a change");
    const size = journalRecordSize(payload?.length ?? 0);
    const rest = this.capacity + JOURNAL_RING_START - this.#position;
    const skipped = size > rest ? rest : 0;
    if (this.used + skipped + size > this.capacity) return undefined;
    let sequence = this.#nextSequence;
    let position = this.#position;
    if (skipped > 0) {
      this.#put(JOURNAL_SKIP, 0, sequence, position, 0, skipped, undefined);
      sequence += 1;
      position = JOURNAL_RING_START;
    }
    const flags = noHole ? JOURNAL_NO_HOLE : 0;
    this.#put(kind, flags, sequence, position, offset, length, payload);
    // Only now: a failed write leaves everything as it was.
    this.#nextSequence = sequence + 1;
    this.#position = nextPosition(
      position,
      size,
      this.capacity + JOURNAL_RING_START,
    );
    this.#head += skipped + size;
    const end = this.#head;
    return { kind, noHole, sequence, position, end, offset, length };
  }

  #put(
    kind: number,
    flags: number,
    sequence: number,
    position: number,
    offset: number,
    length: number,
    payload: Uint8Array | undefined,
  ): void {
    const count = payload?.length ?? 0;
    const bytes = this.#buffer.subarray(0, journalRecordSize(count));
    if (payload !== undefined) bytes.set(payload, JOURNAL_RECORD_SIZE);
    bytes.fill(0, JOURNAL_RECORD_SIZE + count);
    const { epoch } = this;
    sealJournalRecord(
      { kind, flags, epoch, sequence, position, offset, length },
      this.#uuidBytes,
      bytes,
      count,
    );
    const pending = this.#device.write(bytes, position);
    assert(pending === undefined, "a journal is written at once");
  }
}

/** Where a part of the payload of a write lies in the file. */
function payloadPosition(
  { position, offset, length }: JournalRecord,
  start: number,
  count: number,
): number {
  const within = start - offset;
  assert(
    within >= 0 && within + count <= length,
    "a read lies inside its record",
  );
  return position + JOURNAL_RECORD_SIZE + within;
}

function payloadMaxOf(capacity: number): number {
  const sectors = Math.floor(capacity / RECORDS_MIN / JOURNAL_SECTOR);
  return Math.min(JOURNAL_PAYLOAD_MAX, (sectors - 1) * JOURNAL_SECTOR);
}
