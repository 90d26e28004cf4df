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
  /** Whether writes are refused, though the pool is sound. */
  readonly #isReadOnly: boolean;
  /** Returns the name of the volume that is read-only, if it alone is. */
  readonly #volumeName: (() => string) | undefined;
  /** The healths of read-only volumes: they share its state. */
  readonly #volumes = new Set<Health>();
  #failure: VirstorError | undefined;
  #isClosed = false;
  /** Returns what is closed, if it is a volume or a snapshot alone. */
  #closedName: (() => string) | undefined;

  /**
   * Starts in the state `open`.
   *
   * @param pool The pool's settings.
   * @param onFailure Called for the first failure only.
   * @param volumeName Returns the name of the volume, as users type it, if the
   *   health is that of a read-only volume.
   */
  constructor(
    pool: PoolSettings,
    onFailure: (failure: VirstorError) => void,
    volumeName?: () => string,
  ) {
    this.#pool = pool;
    this.#onFailure = onFailure;
    this.#volumeName = volumeName;
    this.#isReadOnly = pool.readOnly || volumeName !== undefined;
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
    for (const one of this.#volumes) one.#failure = this.#failure;
    this.#onFailure(this.#failure);
    return this.#failure;
  }

  /** Refuses all requests and changes from now on. */
  close(): void {
    this.#isClosed = true;
    for (const one of this.#volumes) one.#isClosed = true;
  }

  /**
   * Makes the health of a volume that is read-only: it follows that of the
   * pool, and refuses writes.
   *
   * @param name Returns the name of the volume, as users type it.
   * @returns The health; {@linkcode release} ends it.
   */
  readOnlyVolume(name: () => string): Health {
    const health = new Health(this.#pool, () => {}, name);
    health.#failure = this.#failure;
    health.#isClosed = this.#isClosed;
    this.#volumes.add(health);
    return health;
  }

  /**
   * Forgets the health of a read-only volume: it is not used any more.
   *
   * @param health What {@linkcode readOnlyVolume} returned; others are ignored.
   */
  release(health: Health): void {
    this.#volumes.delete(health);
  }

  /**
   * Makes the health of a volume that is closed while its pool may stay open.
   *
   * @param name Returns what is closed, as in `Volume "vm/data"`.
   * @returns A health that refuses all requests; its error names the pool if
   *   the pool is closed, too.
   */
  closedVolume(name: () => string): Health {
    if (this.#isClosed) return this;
    const health = new Health(this.#pool, () => {});
    health.#isClosed = true;
    health.#closedName = name;
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
    if (!this.#isReadOnly) return;
    throw this.readOnlyError();
  }

  /**
   * Makes the error for a write that is refused because the pool or the volume
   * is read-only.
   *
   * @returns The error, with code `read-only`.
   */
  readOnlyError(): VirstorError {
    const { name, readOnly, writeReason = "" } = this.#pool;
    if (!readOnly) {
      return new VirstorError(
        "read-only",
        `Cannot write to volume "${this.#volumeName?.() ?? name}": it is ` +
          "read-only",
      );
    }
    const reason = writeReason === ""
      ? "it was opened for reading only"
      : writeReason.charAt(0).toLowerCase() + writeReason.slice(1);
    return new VirstorError(
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
    // A pool may have another name since it was opened.
    const { name } = this.#pool;
    return new VirstorError(
      "shutdown",
      this.#closedName === undefined
        ? `Pool "${name}" is stopped`
        : `${this.#closedName()} is closed`,
    );
  }
}
