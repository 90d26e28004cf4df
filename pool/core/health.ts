/**
 * Whether a pool takes requests, and why not: it is open, has failed, or is
 * closed. After a metadata write or a flush has failed nobody knows what is on
 * disk, and no write is taken any more; reads go on.
 *
 * @module
 */

import { messageOf, VirstorError } from "../../errors.ts";
import type { PoolSettings } from "./settings.ts";

/** The state of a pool. */
export class Health {
  readonly #pool: PoolSettings;
  readonly #onFailure: (failure: VirstorError) => void;
  #failure: VirstorError | undefined;
  #isClosed = false;
  #stopped: string;

  /**
   * Begins with a pool that is open.
   *
   * @param pool What does not change of it.
   * @param onFailure Told of the first failure.
   */
  constructor(
    pool: PoolSettings,
    onFailure: (failure: VirstorError) => void,
  ) {
    this.#pool = pool;
    this.#onFailure = onFailure;
    this.#stopped = `Pool "${pool.name}" is stopped`;
  }

  /** In a word. */
  get state(): "open" | "failed" | "closed" {
    if (this.#failure !== undefined) return "failed";
    return this.#isClosed ? "closed" : "open";
  }

  /** Why it takes no more writes; "" if it does. */
  get reason(): string {
    return this.#failure?.message ?? "";
  }

  /**
   * Stops all writes for good.
   *
   * @param cause What happened; the first time counts.
   * @returns The error to throw.
   */
  fail(cause: unknown): VirstorError {
    if (this.#failure !== undefined) return this.#failure;
    this.#failure = new VirstorError(
      "failed",
      `Pool "${this.#pool.name}" takes no more writes: ${messageOf(cause)}`,
      { cause },
    );
    this.#onFailure(this.#failure);
    return this.#failure;
  }

  /** Refuses all requests and changes from now on. */
  close(): void {
    this.#isClosed = true;
  }

  /**
   * The health of a volume that is closed while its pool may stay open.
   *
   * @returns A health that refuses everything; the error names the pool if the
   *   pool is closed, too.
   */
  closedVolume(): Health {
    if (this.#isClosed) return this;
    const health = new Health(this.#pool, () => {});
    health.#isClosed = true;
    health.#stopped = `Volume "${this.#pool.name}" is closed`;
    return health;
  }

  /** Throws `shutdown` if it is closed. */
  assertOpen(): void {
    if (this.#isClosed) throw this.stopError();
  }

  /** Throws `failed` or `shutdown` if what is written may not last. */
  assertSound(): void {
    if (this.#failure !== undefined) throw this.#failure;
    this.assertOpen();
  }

  /** Throws `failed`, `shutdown` or `read-only` if it takes no writes. */
  assertWritable(): void {
    this.assertSound();
    const { name, readOnly, writeReason = "" } = this.#pool;
    if (!readOnly) return;
    const reason = writeReason === ""
      ? "it was opened for reading only"
      : writeReason.charAt(0).toLowerCase() + writeReason.slice(1);
    throw new VirstorError(
      "read-only",
      `Cannot write to pool "${name}": ${reason}`,
    );
  }

  /** Throws `io` if components are missing: nobody knows what was on them. */
  assertComplete(): void {
    if (this.#pool.missing.length === 0) return;
    throw new VirstorError(
      "io",
      `Cannot read a chunk of pool "${this.#pool.name}": it may be on a ` +
        "component that is missing",
    );
  }

  /**
   * Tells why a pool that stops does not do something.
   *
   * @returns The error, with code `shutdown`.
   */
  stopError(): VirstorError {
    return new VirstorError("shutdown", this.#stopped);
  }
}
