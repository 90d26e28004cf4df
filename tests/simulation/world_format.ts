/**
 * What differs between simulated pools of the two formats.
 *
 * @module
 */

import type { FormatName, PoolStatus } from "../../pool/mod.ts";
import type { Step } from "./steps.ts";

/** The name of the pool. */
export const POOL = "world";

/** A component as it lies on its disk. */
export interface RawComponent {
  /** Where it is. */
  readonly path: string;
  /** All its bytes. */
  readonly bytes: Uint8Array;
}

/** A pool that was stopped, and what it said of itself before. */
export interface StoppedPool {
  /** Its members, in order. */
  readonly members: readonly RawComponent[];
  /** The last status while it ran. */
  readonly status: PoolStatus;
  /** What each block of the virtual disk holds: the number of a write. */
  readonly found: readonly number[];
}

/** What a world is like. */
export interface WorldOptions {
  /** Where its `FILES` are. */
  readonly directory: string;
  /** The format of its pool. */
  readonly format: FormatName;
  /** Whether holes can be punched. */
  readonly punches: boolean;
  /** Whether the first component is on another machine; format 2 only. */
  readonly isRemote?: boolean;
}

/** What differs between the formats. */
export interface WorldFormat {
  /** Which one it is. */
  readonly name: FormatName;
  /** What can be done to its pools. */
  readonly steps: readonly Step[];
  /** Bytes of a chunk. */
  readonly chunkSize: number;
  /** Chunks of the virtual disk, at first. */
  readonly virtualChunks: number;

  /**
   * The bytes of a file before anything happens.
   *
   * @param index Which one: 0 and 1 are the components of a new pool.
   * @returns Its bytes, full of rubbish where the format defines none.
   */
  content(index: number): Uint8Array;

  /**
   * Whether a file carries a label.
   *
   * @param bytes All its bytes.
   * @returns Whether it does, sound or not.
   */
  isComponent(bytes: Uint8Array): boolean;

  /**
   * Checks the bytes of a stopped pool, without the code of pools.
   *
   * @param pool The pool.
   * @param directory Where files may be written; undefined: only what needs
   *   none is checked.
   * @throws {Error} If anything is wrong, saying what.
   */
  checkStopped(pool: StoppedPool, directory: string | undefined): Promise<void>;

  /**
   * What opening and stopping a stopped pool must not change.
   *
   * @param component A member.
   * @returns The same if nothing of it has changed.
   */
  essence(component: RawComponent): string;
}
