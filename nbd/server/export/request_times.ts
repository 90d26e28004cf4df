/**
 * How long requests took: from when they had come to when their replies had
 * left, by command. To read the clock costs a good part of what a request from
 * memory costs. So it is read once for all requests that come together, and
 * once for all that are answered together.
 *
 * @module
 */

import { DURATION_NUMBERS, Durations } from "../../../device/block/mod.ts";
import { assert } from "../../../errors.ts";
import {
  COMMAND_BLOCK_STATUS,
  COMMAND_CACHE,
  COMMAND_FLUSH,
  COMMAND_READ,
  COMMAND_TRIM,
  COMMAND_WRITE,
  COMMAND_WRITE_ZEROES,
} from "../../wire/mod.ts";

/** The commands, by the names that metrics give them. */
export const TIMED_COMMANDS: ReadonlyMap<string, number> = new Map([
  ["read", COMMAND_READ],
  ["write", COMMAND_WRITE],
  ["flush", COMMAND_FLUSH],
  ["trim", COMMAND_TRIM],
  ["write_zeroes", COMMAND_WRITE_ZEROES],
  ["cache", COMMAND_CACHE],
  ["block_status", COMMAND_BLOCK_STATUS],
]);
/** Numbers of commands are below this one. */
const COMMANDS = 8;
/** Bounds of the sizes of batches: 1, 2, 4, ... 1024. */
export const BATCH_BOUNDS = 11;
/** Behind the durations: the batches by size, the larger ones, the requests. */
const BATCHES_AT: number = COMMANDS * DURATION_NUMBERS;
const BATCHES_SUM: number = BATCHES_AT + BATCH_BOUNDS + 1;
/** Float64 numbers that {@linkcode RequestTimes} takes. */
export const TIMES_NUMBERS: number = BATCHES_SUM + 1;

/** The durations of requests by command, and the sizes of batches. */
export class RequestTimes {
  readonly #numbers: Float64Array;
  readonly #durations: readonly Durations[];

  /**
   * Begins with no requests, or goes on.
   *
   * @param numbers {@linkcode TIMES_NUMBERS} numbers, its own by default.
   */
  constructor(numbers: Float64Array = new Float64Array(TIMES_NUMBERS)) {
    this.#numbers = numbers;
    this.#durations = Array.from({ length: COMMANDS }, (_, command) => {
      const at = command * DURATION_NUMBERS;
      return new Durations(numbers.subarray(at, at + DURATION_NUMBERS));
    });
  }

  /**
   * The durations of one command.
   *
   * @param command The number of the command, for instance `COMMAND_READ`.
   * @returns The histogram, which goes on.
   */
  of(command: number): Durations {
    const durations = this.#durations[command];
    assert(durations !== undefined, "a command that is timed is known");
    return durations;
  }

  /**
   * Notes how many requests were executed together.
   *
   * @param size The number of requests, above 0.
   */
  noteBatch(size: number): void {
    const numbers = this.#numbers;
    const bucket = Math.min(BATCH_BOUNDS, 32 - Math.clz32(size - 1));
    const at = BATCHES_AT + bucket;
    numbers[at] = (numbers[at] ?? 0) + 1;
    numbers[BATCHES_SUM] = (numbers[BATCHES_SUM] ?? 0) + size;
  }

  /**
   * How many batches had which size.
   *
   * @returns The counts: bucket `i` holds batches of 2^`i` requests at most that
   *   did not fit into the bucket before; the last one holds the rest.
   */
  get batches(): number[] {
    return Array.from(this.#numbers.subarray(BATCHES_AT, BATCHES_SUM));
  }

  /** The requests of all batches. */
  get batchedRequests(): number {
    return this.#numbers[BATCHES_SUM] ?? 0;
  }

  /**
   * Adds what another one has counted.
   *
   * @param other The other one.
   */
  add(other: RequestTimes): void {
    const [numbers, more] = [this.#numbers, other.#numbers];
    for (let i = 0; i < TIMES_NUMBERS; i++) {
      numbers[i] = (numbers[i] ?? 0) + (more[i] ?? 0);
    }
  }
}

/** The requests of one connection that are answered together. */
export class Batch {
  /**
   * When the requests that are being executed had come, by
   * `performance.now()`.
   */
  since: number;
  readonly #times: RequestTimes;
  /** Requests that are answered and not noted yet, by command. */
  readonly #answered = new Int32Array(COMMANDS);
  #count = 0;

  /**
   * Begins with none.
   *
   * @param times Where durations are noted.
   */
  constructor(times: RequestTimes) {
    this.#times = times;
    this.since = performance.now();
  }

  /**
   * A request is answered; its reply leaves with those of the batch.
   *
   * @param command The number of its command.
   * @param since What {@linkcode since} was when the request began.
   */
  answered(command: number, since: number): void {
    if (since === this.since) {
      this.#answered[command] = (this.#answered[command] ?? 0) + 1;
      this.#count++;
    } else this.#times.of(command).note(performance.now() - since);
  }

  /** Notes the requests that are answered: their replies have left. */
  end(): void {
    if (this.#count === 0) return;
    this.#times.noteBatch(this.#count);
    this.#count = 0;
    const ms = performance.now() - this.since;
    const answered = this.#answered;
    for (let command = 0; command < COMMANDS; command++) {
      const count = answered[command] ?? 0;
      if (count === 0) continue;
      answered[command] = 0;
      this.#times.of(command).note(ms, count);
    }
  }
}
