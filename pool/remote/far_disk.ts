/**
 * What this room knows of a disk on another machine.
 *
 * @module
 */

import type {
  BlockDevice,
  Completion,
  KeptBytes,
  WriteOptions,
} from "../../device/block/mod.ts";

/** Options of a write to a far disk. */
export interface FarWriteOptions extends WriteOptions {
  /**
   * Has the bytes until a flush has made them durable, so that the disk need
   * not keep a copy of them. They do not change before the write is done.
   */
  readonly kept?: KeptBytes;
}

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
  & Pick<BlockDevice, "size" | "read" | "writeZeroes" | "flush">
  & {
    /**
     * Writes bytes.
     *
     * @param source The bytes; the caller's again when the call returns, or, if
     *   they are kept, when the write is done.
     * @param offset The first byte of the range.
     * @param options Options of the write.
     * @returns The end of the write.
     * @throws {VirstorError} `io`.
     */
    write(
      source: Uint8Array,
      offset: number,
      options?: FarWriteOptions,
    ): Completion;
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
