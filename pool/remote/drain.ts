/**
 * Brings the records of a journal to the far side, in order.
 *
 * Several requests are in flight at once. A request waits for those that it
 * overlaps, so a request that fails can be repeated without undoing a later one.
 *
 * What a newer record overwrites is left out, because the newer one follows.
 * That is not so for records that a running flush has to make durable, if the
 * newer one came after the flush began: those are sent whole.
 *
 * @module
 */

import {
  type BlockDevice,
  type Completion,
  Slabs,
} from "../../device/block/mod.ts";
import { assert, messageOf, VirstorError } from "../../errors.ts";
import { JOURNAL_WRITE } from "../../metadata/journal/mod.ts";
import type { Journal } from "./journal.ts";
import type { JournalRecord, Span } from "./journal_record.ts";
import type { Overlay } from "./overlay.ts";
import { Signal } from "./signal.ts";

/** Requests that are in flight at once. */
const FLIGHTS_MAX = 64;
/** Bytes that are in flight at once, more or less. */
const FLIGHT_BYTES_MAX = 8 << 20;
/** The longest write that is made of several records, bytes. */
const JOINED_BYTES_MAX = 1 << 20;
/** Records that have left are dropped from the queue so many at a time. */
const COMPACT_AFTER = 4096;
/** So often a request that the far side refuses is repeated. */
const RETRIES_MAX = 5;

/** What is known of the connection to a far disk. */
export interface FarDiskStatus {
  /** In a word: `connected`, `connecting`, `failed`, ... */
  readonly state: string;
  /** The path in use, or that was in use last, without a password. */
  readonly path: string;
  /** How many times the disk has connected again. */
  readonly reconnects: number;
  /** Requests in flight. */
  readonly inFlight: number;
  /** Requests that have not left. */
  readonly queued: number;
  /** Median of the last round trips, milliseconds. */
  readonly roundTripP50: number;
  /** 99th percentile of the last round trips, milliseconds. */
  readonly roundTripP99: number;
  /** Age of the oldest request in flight, milliseconds; 0 if there is none. */
  readonly oldestMs: number;
  /** The last fault of a connection; "" if there was none. */
  readonly lastError: string;
}

/** The far side: a disk that loses no acknowledged write while it is open. */
export type FarDisk =
  & Pick<
    BlockDevice,
    "size" | "read" | "write" | "writeZeroes" | "flush"
  >
  & {
    /**
     * Closes the disk.
     *
     * @param waitMs How long requests in flight may take, milliseconds. Default:
     *   as the disk likes.
     * @returns The end of the close.
     */
    close(waitMs?: number): Completion;
    /**
     * The state of the connection.
     *
     * @returns The state now.
     */
    readonly status?: () => FarDiskStatus;
  };

/** A part of a record. */
interface Piece extends Span {
  readonly record: JournalRecord;
}

/** A request to the far side, made of parts of records that follow each other. */
interface Flight {
  readonly start: number;
  end: number;
  readonly pieces: Piece[];
}

/** Options of a drain. */
export interface DrainOptions {
  /** The far side. */
  readonly far: FarDisk;
  /** The journal. */
  readonly journal: Journal;
  /** What is newer than on the far side; the drain removes what has arrived. */
  readonly overlay: Overlay;
  /** Milliseconds before the first repetition; each next one takes twice that. */
  readonly retryMs: number;
  /** Called before each request; see `FarOwner.admit`. */
  readonly admit?: (() => Completion) | undefined;
  /** Called when the far side has refused a request again and again. */
  readonly onFailure: (error: VirstorError) => void;
}

/** Brings records to the far side. */
export class Drain {
  readonly #options: DrainOptions;
  /** Records that have not left, oldest first, from `#first` on. */
  #queue: JournalRecord[] = [];
  #first = 0;
  /** What an earlier opening left: the ranges that no later record of it had. */
  readonly #recovered = new Map<JournalRecord, readonly Span[]>();
  /** In the order in which they left. */
  #flights: Flight[] = [];
  /** What is being put together. */
  #next: Flight | undefined;
  #bytes = 0;
  /** The newest record that was taken from the queue. */
  #taken: number;
  /** The newest record that the running flush covers. */
  #barrier = 0;
  #isRunning = false;
  #failure: VirstorError | undefined;
  readonly #slabs = new Slabs();
  readonly #changed = new Signal();
  readonly #stopped = new Signal();

  /**
   * Begins with what an earlier opening left.
   *
   * @param options The parts.
   */
  constructor(options: DrainOptions) {
    this.#options = options;
    const { overlay, journal: { recovered, last } } = options;
    for (const record of recovered) overlay.add(record);
    this.#taken = recovered.length === 0
      ? last.sequence
      : (recovered[0]?.sequence ?? 1) - 1;
    // Older content than that may be older than what the far side has flushed.
    for (const record of recovered) {
      this.#recovered.set(record, overlay.rangesOf(record));
    }
    for (const record of recovered) this.push(record);
  }

  /** Records that have not arrived. */
  get pending(): number {
    const { journal } = this.#options;
    return journal.last.sequence - this.#arrived;
  }

  /** Requests in flight. */
  get inFlight(): number {
    return this.#flights.length;
  }

  /**
   * Brings a record to the far side, after those before it.
   *
   * @param record The record; the overlay has it.
   */
  push(record: JournalRecord): void {
    this.#queue.push(record);
    if (this.#isRunning || this.#failure !== undefined) return;
    this.#isRunning = true;
    this.#run();
  }

  /**
   * Waits until the far side has everything up to a record.
   *
   * @param sequence The record.
   * @throws {VirstorError} `io` if the far side refuses, or the drain stops.
   */
  async upTo(sequence: number): Promise<void> {
    assert(sequence >= this.#barrier, "one flush runs at a time");
    this.#barrier = sequence;
    await this.arrival(sequence);
  }

  /**
   * Waits until a record and those before it have arrived, or were overwritten.
   *
   * @param sequence The record.
   * @throws {VirstorError} `io` if the far side refuses, or the drain stops.
   */
  async arrival(sequence: number): Promise<void> {
    while (this.#arrived < sequence) {
      if (this.#failure !== undefined) throw this.#failure;
      await this.#changed.next();
    }
  }

  /**
   * Sends nothing more. What has not arrived stays in the journal.
   *
   * @param error What {@linkcode upTo} fails with.
   */
  stop(error: VirstorError): void {
    this.#failure ??= error;
    this.#changed.raise();
    this.#stopped.raise();
  }

  /**
   * Waits before a request is repeated.
   *
   * @param tries How many times it was repeated, from 0.
   * @param cause Why the far side refused it.
   * @throws {VirstorError} The failure if the drain has stopped; `io` if the
   *   far side has refused often enough.
   */
  async backOff(tries: number, cause: unknown): Promise<void> {
    if (this.#failure === undefined && tries < RETRIES_MAX) {
      await this.#stopped.nextWithin(this.#options.retryMs * 2 ** tries);
    }
    if (this.#failure !== undefined) throw this.#failure;
    if (tries < RETRIES_MAX) return;
    throw new VirstorError(
      "io",
      `The far side refuses, also after ${RETRIES_MAX} repetitions: ` +
        messageOf(cause),
      { cause },
    );
  }

  /** Everything up to this record has arrived, or is overwritten. */
  get #arrived(): number {
    const oldest = this.#flights[0] ?? this.#next;
    const sequence = oldest?.pieces[0]?.record.sequence;
    return sequence === undefined ? this.#taken : sequence - 1;
  }

  /** Sends until the queue is empty, or the drain has stopped. */
  async #run(): Promise<void> {
    // What is written in the same turn may become one request.
    await Promise.resolve();
    while (this.#failure === undefined) {
      const record = this.#queue[this.#first];
      if (record === undefined) {
        if (this.#next === undefined) break;
        await this.#depart();
        continue;
      }
      const pieces = this.#piecesOf(record);
      // The flights keep what is not sent yet from counting as arrived.
      for (const piece of pieces) {
        if (this.#joins(piece)) continue;
        if (this.#next !== undefined) await this.#depart();
        if (this.#failure !== undefined) break;
        this.#next = { start: piece.start, end: piece.end, pieces: [piece] };
      }
      if (this.#failure !== undefined) break;
      this.#taken = record.sequence;
      this.#recovered.delete(record);
      this.#first += 1;
      if (this.#first >= COMPACT_AFTER) this.#compact();
      if (pieces.length === 0) this.#changed.raise();
    }
    this.#compact();
    this.#isRunning = false;
  }

  #compact(): void {
    this.#queue = this.#queue.slice(this.#first);
    this.#first = 0;
  }

  #piecesOf(record: JournalRecord): Piece[] {
    const { overlay } = this.#options;
    const { offset, length, sequence } = record;
    const whole = { start: offset, end: offset + length };
    const spans = this.#recovered.get(record) ?? [whole];
    const mayLeaveOut = sequence > this.#barrier;
    return (mayLeaveOut ? overlay.rangesOf(record) : spans)
      .map(({ start, end }) => ({ start, end, record }));
  }

  /** Adds a piece to what is being put together, if it follows it. */
  #joins(piece: Piece): boolean {
    const next = this.#next;
    const last = next?.pieces[0]?.record;
    if (next === undefined || last === undefined) return false;
    const { kind, noHole } = piece.record;
    const canJoin = next.end === piece.start && last.kind === kind &&
      last.noHole === noHole &&
      (kind !== JOURNAL_WRITE || piece.end - next.start <= JOINED_BYTES_MAX);
    if (!canJoin) return false;
    next.end = piece.end;
    next.pieces.push(piece);
    return true;
  }

  /** Sends what was put together, when there is room and nothing overlaps. */
  async #depart(): Promise<void> {
    const flight = this.#next;
    if (flight === undefined) return;
    while (this.#failure === undefined && !this.#mayDepart(flight)) {
      await this.#changed.next();
    }
    if (this.#failure !== undefined) return;
    const isWrite = flight.pieces[0]?.record.kind === JOURNAL_WRITE;
    let payload: Uint8Array | undefined;
    try {
      if (isWrite) payload = await this.#load(flight);
      const pending = this.#options.admit?.();
      if (pending !== undefined) await pending;
    } catch (error) {
      this.#fail(error);
      return;
    }
    if (this.#failure !== undefined) return;
    this.#flights.push(flight);
    this.#next = undefined;
    this.#bytes += payload?.length ?? 0;
    this.#fly(flight, payload);
  }

  #mayDepart({ start, end }: Flight): boolean {
    if (this.#flights.length >= FLIGHTS_MAX) return false;
    if (this.#bytes >= FLIGHT_BYTES_MAX) return false;
    return this.#flights.every((other) =>
      other.end <= start || other.start >= end
    );
  }

  async #load({ start, end, pieces }: Flight): Promise<Uint8Array> {
    const { journal } = this.#options;
    const bytes = this.#slabs.take(end - start);
    for (const piece of pieces) {
      const part = bytes.subarray(piece.start - start, piece.end - start);
      const pending = journal.read(piece.record, piece.start, part);
      if (pending !== undefined) await pending;
    }
    return bytes;
  }

  /** One request, repeated until the far side has taken it. Never fails. */
  async #fly(flight: Flight, payload: Uint8Array | undefined): Promise<void> {
    const { overlay } = this.#options;
    try {
      await this.#send(flight, payload);
    } catch (error) {
      this.#fail(error);
      return;
    }
    for (const piece of flight.pieces) overlay.drop(piece.record, piece);
    this.#flights.splice(this.#flights.indexOf(flight), 1);
    this.#bytes -= payload?.length ?? 0;
    this.#changed.raise();
  }

  async #send(
    { start, end, pieces }: Flight,
    payload: Uint8Array | undefined,
  ): Promise<void> {
    const { far } = this.#options;
    for (let tries = 0;; tries++) {
      try {
        if (payload !== undefined) await far.write(payload, start);
        else {
          const noHole = pieces[0]?.record.noHole === true;
          await far.writeZeroes(start, end - start, { noHole });
        }
        return;
      } catch (error) {
        await this.backOff(tries, error);
      }
    }
  }

  #fail(error: unknown): void {
    if (this.#failure !== undefined) return;
    const failure = error instanceof VirstorError
      ? error
      : new VirstorError("io", messageOf(error), { cause: error });
    this.stop(failure);
    this.#options.onFailure(failure);
  }
}
