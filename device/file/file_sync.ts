/**
 * Makes a file durable. One `fdatasync` runs at a time, off the event loop:
 * disks can be slow, and can hang. The thread of a lane may run the next one,
 * for a client that waits for nothing else.
 *
 * A failed `fdatasync` is final: the kernel may have marked the lost pages
 * clean, so that a second one would succeed and mean nothing.
 *
 * @module
 */

import fs from "node:fs";
import { assert, messageOf, VirstorError } from "../../errors.ts";
import type { Completion, Durations } from "../block/mod.ts";
import type { LentFile } from "../leases/mod.ts";
import { lossOf } from "./files.ts";

/**
 * Learns when writes become durable: an owner of structures that must not
 * overwrite their last durable version.
 */
export interface FlushObserver {
  /** A flush begins: it covers what was written so far, and nothing later. */
  flushBegins(): void;
  /** It is done. Not called if it failed: none will succeed after that. */
  flushEnds(): void;
}

/** An `fdatasync` that has begun, and that another thread runs. */
export interface LentSync {
  /** The file to make durable. */
  readonly file: LentFile;
  /** Fulfilled when the `fdatasync` is done; rejects with `io` if it fails. */
  readonly ended: Promise<void>;
  /**
   * Reports the result; to be called once.
   *
   * @param isDone Whether `fdatasync` succeeded.
   */
  end(isDone: boolean): void;
}

/** What a file was when it was opened. */
export interface OpenedFile {
  /** Where it was found. */
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  /** Whether native calls may be used. */
  readonly native: boolean;
}

/** What has to be made durable of one file, and how. */
export class FileSync {
  /** Called for each `fdatasync`. */
  observer: FlushObserver | undefined;

  readonly #file: OpenedFile;
  readonly #durations: Durations;
  /** Whether a write may have to be made durable. */
  #isDirty: boolean;
  #syncing: Promise<void> | undefined;
  #nextSync: Promise<void> | undefined;
  #failure: VirstorError | undefined;

  /**
   * Begins with a file.
   *
   * @param file The file.
   * @param isDirty Whether anything may have to be made durable.
   * @param durations Where the duration of each `fdatasync` is noted.
   */
  constructor(file: OpenedFile, isDirty: boolean, durations: Durations) {
    this.#file = file;
    this.#durations = durations;
    this.#isDirty = isDirty;
  }

  /** The `fdatasync` in flight, or to come; it may fail. */
  get pending(): Promise<void> | undefined {
    return this.#nextSync ?? this.#syncing;
  }

  /**
   * Whether another thread may run the next `fdatasync`: native calls are
   * allowed, and no `fdatasync` is running or has failed.
   */
  get maySyncElsewhere(): boolean {
    return this.#file.native && this.#syncing === undefined &&
      this.#nextSync === undefined && this.#failure === undefined;
  }

  /** Notes a write, which may still be about to happen. */
  wrote(): void {
    this.#isDirty = true;
  }

  /**
   * Makes earlier writes durable. Calls that come while one `fdatasync` runs
   * share the next one.
   *
   * @param descriptor The file.
   * @returns A promise if there is anything to wait for.
   * @throws {VirstorError} `io`, for ever after the first failure; also if the
   *   file was deleted or truncated meanwhile.
   */
  flush(descriptor: number): Completion {
    if (this.#failure !== undefined) throw this.#failure;
    // Also when the running one has just ended and this one is about to begin.
    if (this.#nextSync !== undefined) return this.#nextSync;
    if (this.#syncing === undefined) {
      return this.#isDirty ? this.#sync(descriptor) : undefined;
    }
    // The running one covers only what was written before it began.
    if (!this.#isDirty) return this.#syncing;
    this.#nextSync = this.#syncing.then(() => {
      this.#nextSync = undefined;
      return this.#sync(descriptor);
    });
    return this.#nextSync;
  }

  /**
   * Begins an `fdatasync` that another thread runs. Flushes that arrive while it
   * runs share the next one.
   *
   * *Requires*: {@linkcode maySyncElsewhere}.
   *
   * @param descriptor The file.
   * @returns The `fdatasync`; undefined if there is nothing to make durable.
   */
  syncElsewhere(descriptor: number): LentSync | undefined {
    if (!this.#isDirty) return undefined;
    const { ended, end } = this.#begin(descriptor);
    return {
      file: { descriptor, size: this.#file.size },
      ended,
      end: (isDone) => end(isDone ? null : new Error("the system refused")),
    };
  }

  #sync(descriptor: number): Promise<void> {
    const { ended, end } = this.#begin(descriptor);
    try {
      fs.fdatasync(descriptor, end);
    } catch (error) {
      end(error);
    }
    return ended;
  }

  /** Begins an `fdatasync`; call `end` with its error, or null. */
  #begin(
    descriptor: number,
  ): { ended: Promise<void>; end: (error: unknown) => void } {
    assert(this.#syncing === undefined, "one fdatasync at a time");
    this.#isDirty = false;
    this.observer?.flushBegins();
    const since = performance.now();
    const { promise: ended, resolve, reject } = Promise.withResolvers<void>();
    this.#syncing = ended;
    const end = (error: unknown) => {
      this.#syncing = undefined;
      this.#durations.note(performance.now() - since);
      try {
        resolve(this.#end(descriptor, error));
      } catch (failure) {
        reject(failure);
      }
    };
    return { ended, end };
  }

  #end(descriptor: number, error: unknown): undefined {
    const { path, size, native } = this.#file;
    const reason = error ? messageOf(error) : lossOf(descriptor, size, native);
    if (reason === "") {
      this.observer?.flushEnds();
      return;
    }
    this.#failure = new VirstorError(
      "io",
      `Cannot make "${path}" durable: ${reason}`,
      { cause: error },
    );
    throw this.#failure;
  }
}
