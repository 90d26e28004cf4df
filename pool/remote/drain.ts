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

import type { Completion } from "../../device/block/mod.ts";
import {
  assert,
  asVirstorError,
  messageOf,
  VirstorError,
} from "../../errors.ts";
import type { FarDisk } from "./far_disk.ts";
import { Flight, type Piece } from "./flight.ts";
import { FlightBuffers } from "./flight_buffers.ts";
import type { Journal } from "./journal.ts";
import type { JournalRecord, Span } from "./journal_record.ts";
import type { Overlay } from "./overlay.ts";
import { Signal } from "./signal.ts";

/** Requests that are in flight at once. */
const FLIGHTS_MAX = 64;
/** Bytes that are in flight at once, more or less. */
const FLIGHT_BYTES_MAX = 8 << 20;
/**
 * Bytes of the journal that are sent together while requests are in flight.
 * Fewer wait until these have ended: so what is written one by one leaves, and
 * is answered, many at a time.
 */
const GATHERED_BYTES = 64 << 10;
/** Records that have left are dropped from the queue so many at a time. */
const COMPACT_AFTER = 4096;
/** So often a request that the far side refuses is repeated. */
const RETRIES_MAX = 5;

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
  /** The newest record that waits for no more of them. */
  #departing = 0;
  /** The newest record that the running flush covers. */
  #barrier = 0;
  #isRunning = false;
  #failure: VirstorError | undefined;
  readonly #buffers = new FlightBuffers();
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
    if (this.#failure !== undefined) return;
    if (!this.#isRunning) {
      this.#isRunning = true;
      this.#run();
    } else if (!this.#isGathering) this.#changed.raise();
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
    this.#departing = Math.max(this.#departing, sequence);
    this.#changed.raise();
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
    const sequence = oldest?.first.sequence;
    return sequence === undefined ? this.#taken : sequence - 1;
  }

  /** Whether what has come since the last departure waits for more. */
  get #isGathering(): boolean {
    const oldest = this.#queue[this.#first];
    if (oldest === undefined || oldest.sequence <= this.#departing) {
      return false;
    }
    const { end } = this.#options.journal.last;
    return this.#flights.length > 0 && end - oldest.end < GATHERED_BYTES;
  }

  /** Sends until the queue is empty, or the drain has stopped. */
  async #run(): Promise<void> {
    // What is written in the same turn may become one request.
    await Promise.resolve();
    while (this.#failure === undefined) {
      const record = this.#queue[this.#first];
      if (record === undefined) {
        if (this.#next === undefined) break;
        const pending = this.#depart();
        if (pending !== undefined) await pending;
        continue;
      }
      while (this.#isGathering) await this.#changed.next();
      if (this.#failure !== undefined) break;
      const { sequence } = this.#options.journal.last;
      if (record.sequence > this.#departing) this.#departing = sequence;
      const pieces = this.#piecesOf(record);
      // The flights keep what is not sent yet from counting as arrived.
      for (const piece of pieces) {
        if (this.#next?.join(piece) === true) continue;
        const pending = this.#depart();
        if (pending !== undefined) await pending;
        if (this.#failure !== undefined) break;
        this.#next = new Flight(piece, this.#options.journal);
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

  /** Sends what was put together, when there is room and nothing overlaps. */
  #depart(): Completion {
    const flight = this.#next;
    if (flight === undefined) return undefined;
    return this.#mayDepart(flight)
      ? this.#leave(flight)
      : this.#departLater(flight);
  }

  async #departLater(flight: Flight): Promise<void> {
    while (this.#failure === undefined && !this.#mayDepart(flight)) {
      await this.#changed.next();
    }
    if (this.#failure === undefined) await this.#leave(flight);
  }

  #mayDepart({ start, end }: Flight): boolean {
    if (this.#flights.length >= FLIGHTS_MAX) return false;
    if (this.#bytes >= FLIGHT_BYTES_MAX) return false;
    return this.#flights.every((other) =>
      other.end <= start || other.start >= end
    );
  }

  /** Never fails. */
  #leave(flight: Flight): Completion {
    try {
      const pending = this.#prepare(flight);
      if (pending !== undefined) {
        return pending.then(
          () => this.#takeOff(flight),
          (error) => this.#fail(error),
        );
      }
      this.#takeOff(flight);
    } catch (error) {
      this.#fail(error);
    }
    return undefined;
  }

  /** Reads the bytes of a flight from the journal. */
  #prepare(flight: Flight): Completion {
    const { admit } = this.#options;
    if (!flight.isWrite) return admit?.();
    flight.payload = this.#buffers.take(flight.end - flight.start);
    const reading = flight.read(flight.payload, flight.start);
    return reading === undefined ? admit?.() : reading.then(() => admit?.());
  }

  #takeOff(flight: Flight): void {
    if (this.#failure !== undefined) return;
    this.#flights.push(flight);
    this.#next = undefined;
    this.#bytes += flight.payload?.length ?? 0;
    this.#fly(flight);
  }

  /** One request, repeated until the far side has taken it. Never fails. */
  async #fly(flight: Flight): Promise<void> {
    for (let tries = 0;; tries++) {
      try {
        await this.#send(flight);
        break;
      } catch (error) {
        if (!await this.#mayRepeat(tries, error)) return;
      }
    }
    this.#land(flight);
  }

  async #mayRepeat(tries: number, cause: unknown): Promise<boolean> {
    try {
      await this.backOff(tries, cause);
      return true;
    } catch (error) {
      this.#fail(error);
      return false;
    }
  }

  #send(flight: Flight): Completion {
    const { far } = this.#options;
    const { start, end, payload, first: { noHole } } = flight;
    return payload === undefined
      ? far.writeZeroes(start, end - start, { noHole })
      : far.write(payload, start, { kept: flight });
  }

  #land(flight: Flight): void {
    const { overlay } = this.#options;
    for (const piece of flight.pieces) overlay.drop(piece.record, piece);
    this.#flights.splice(this.#flights.indexOf(flight), 1);
    const { payload } = flight;
    if (payload !== undefined) {
      this.#bytes -= payload.length;
      flight.payload = undefined;
      this.#buffers.give(payload);
    }
    this.#changed.raise();
  }

  #fail(error: unknown): void {
    if (this.#failure !== undefined) return;
    const failure = asVirstorError(error);
    this.stop(failure);
    this.#options.onFailure(failure);
  }
}
