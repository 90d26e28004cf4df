/**
 * The health of a pool: open, failed or closed. After a metadata write or a
 * flush has failed, the state on disk is unknown. Then the pool takes no more
 * writes, for good; reads go on.
 *
 * @module
 */

import { messageOf, VirstorError } from "../../errors.ts";
import type { PoolSettings } from "./settings.ts";

/** The health of an open pool. */
export class Health {
  readonly #pool: PoolSettings;
  readonly #onFailure: (failure: VirstorError) => void;
  #failure: VirstorError | undefined;
  #isClosed = false;
  #stopped: string;

  /**
   * Starts in the state `open`.
   *
   * @param pool The pool's settings.
   * @param onFailure Called for the first failure only.
   */
  constructor(
    pool: PoolSettings,
    onFailure: (failure: VirstorError) => void,
  ) {
    this.#pool = pool;
    this.#onFailure = onFailure;
    this.#stopped = `Pool "${pool.name}" is stopped`;
  }

  /** The state; `failed` takes precedence over `closed`. */
  get state(): "open" | "failed" | "closed" {
    if (this.#failure !== undefined) return "failed";
    return this.#isClosed ? "closed" : "open";
  }

  /** Why the pool takes no more writes; "" if it has not failed. */
  get reason(): string {
    return this.#failure?.message ?? "";
  }

  /**
   * Refuses all writes from now on.
   *
   * @param cause The failure; later calls keep the first one.
   * @returns The error for the caller to throw.
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
   * Makes the health of a volume that is closed while its pool may stay open.
   *
   * @returns A health that refuses all requests; its error names the pool if
   *   the pool is closed, too.
   */
  closedVolume(): Health {
    if (this.#isClosed) return this;
    const health = new Health(this.#pool, () => {});
    health.#isClosed = true;
    health.#stopped = `Volume "${this.#pool.name}" is closed`;
    return health;
  }

  /** Throws `shutdown` if the pool is closed. */
  assertOpen(): void {
    if (this.#isClosed) throw this.stopError();
  }

  /** Throws `failed` or `shutdown` if writes may not become durable. */
  assertSound(): void {
    if (this.#failure !== undefined) throw this.#failure;
    this.assertOpen();
  }

  /** Throws `failed`, `shutdown` or `read-only` if the pool takes no writes. */
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

  /** Throws `io` if components are missing, since their chunks are unknown. */
  assertComplete(): void {
    if (this.#pool.missing.length === 0) return;
    throw new VirstorError(
      "io",
      `Cannot read a chunk of pool "${this.#pool.name}": it may be on a ` +
        "component that is missing",
    );
  }

  /**
   * Makes the error for a request that the end of the pool refuses.
   *
   * @returns The error, with code `shutdown`.
   */
  stopError(): VirstorError {
    return new VirstorError("shutdown", this.#stopped);
  }
}
