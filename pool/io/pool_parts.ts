/**
 * What an open pool is made of, for those who work on all of it.
 *
 * @module
 */

import type { VirstorError } from "../../errors.ts";
import type { ForwardMap, HostSpaces, PoolSettings } from "../core/mod.ts";
import type { FirstWrites } from "./first_writes.ts";
import type { PoolFormat } from "../format/mod.ts";
import type { Freeing, Space } from "../space/mod.ts";

/** The parts of an open pool. */
export interface PoolParts {
  /** What does not change. */
  readonly settings: PoolSettings;
  /** How its state reaches the disk, and the components. */
  readonly format: PoolFormat;
  /** Where each virtual chunk is. */
  readonly map: ForwardMap;
  /** Its free chunks. */
  readonly space: Space;
  /** The room that the host's file systems have. */
  readonly hosts: HostSpaces;
  /** Chunks on their way to be free. */
  readonly freeing: Freeing;
  /** Writes that need a chunk. */
  readonly firstWrites: FirstWrites;
  /**
   * Stops all writes for good, because what is on disk is unknown.
   *
   * @param cause What happened.
   * @returns The error to throw.
   */
  readonly fail: (cause: unknown) => VirstorError;
}
