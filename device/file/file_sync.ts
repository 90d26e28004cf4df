/**
 * Makes a file durable. One `fdatasync` runs at a time, off the event loop:
 * disks can be slow, and can hang.
 *
 * A failed `fdatasync` is final: the kernel may have marked the lost pages
 * clean, so that a second one would succeed and mean nothing.
 *
 * @module
 */

import fs from "node:fs";
import { assert, messageOf, VirstorError } from "../../errors.ts";
import type { Completion } from "../block/mod.ts";
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
  /** Told of each `fdatasync`. */
  observer: FlushObserver | undefined;

  readonly #file: OpenedFile;
  /** Bytes that may have to be made durable; 0 if there are none. */
  #written: number;
  #syncing: Promise<void> | undefined;
  #nextSync: Promise<void> | undefined;
  #failure: VirstorError | undefined;

  /**
   * Begins with a file.
   *
   * @param file The file.
   * @param written Bytes that may have to be made durable; `Infinity` if that
   *   is not known.
   */
  constructor(file: OpenedFile, written: number) {
    this.#file = file;
    this.#written = written;
  }

  /** What is under way, or is to come; it may fail. */
  get pending(): Promise<void> | undefined {
    return this.#nextSync ?? this.#syncing;
  }

  /**
   * Something was written, or is about to be.
   *
   * @param bytes How many bytes there may be to write; `Infinity` if that is
   *   not known.
   */
  wrote(bytes: number): void {
    this.#written += bytes;
  }

  /**
   * Makes earlier writes durable. Calls that come while one `fdatasync` runs
   * share the next one.
   *
   * @param descriptor The file.
   * @returns A promise if there is anything to wait for.
   * @throws {VirstorError} `io`, for ever after the first failure; also if the
   *   file was deleted or cut off meanwhile.
   */
  flush(descriptor: number): Completion {
    if (this.#failure !== undefined) throw this.#failure;
    // Also when the running one has just ended and this one is about to begin.
    if (this.#nextSync !== undefined) return this.#nextSync;
    if (this.#syncing === undefined) {
      if (this.#written === 0) return undefined;
      return this.#sync(descriptor);
    }
    // The running one covers only what was written before it began.
    if (this.#written === 0) return this.#syncing;
    this.#nextSync = this.#syncing.then(() => {
      this.#nextSync = undefined;
      return this.#sync(descriptor);
    });
    return this.#nextSync;
  }

  #sync(descriptor: number): Promise<void> {
    assert(this.#syncing === undefined, "one fdatasync at a time");
    this.#begin();
    const syncing = new Promise<void>((resolve, reject) => {
      fs.fdatasync(descriptor, (error) => {
        this.#syncing = undefined;
        try {
          resolve(this.#end(descriptor, error));
        } catch (failure) {
          reject(failure);
        }
      });
    });
    this.#syncing = syncing;
    return syncing;
  }

  #begin(): void {
    this.#written = 0;
    this.observer?.flushBegins();
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
