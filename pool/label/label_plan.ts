/**
 * The plan of a pool that is being made, in either format.
 *
 * @module
 */

import { inBytes, VirstorError } from "../../errors.ts";
import { VIRTUAL_SIZE_MAX } from "../core/mod.ts";
import type {
  Candidate,
  ComponentLayout,
  FutureComponent,
} from "../member/mod.ts";

/** The properties that the caller wants. */
export interface LabelRequest {
  /** The pool's name. */
  readonly name: string;
  /** Bytes of the virtual disk, before fitting. */
  readonly virtualSize: number;
  /** Bytes of a chunk, before fitting; undefined for the default. */
  readonly chunkSize: number | undefined;
}

/** The properties that the pool will have. */
export interface LabelPlan {
  /** Bytes of the virtual disk, after fitting. */
  readonly virtualSize: number;
  /** How components are divided. */
  readonly layout: ComponentLayout;
  /** Chunks at the start of the first component that hold the map. */
  readonly reserved: number;
  /** The sizes that were fitted, one sentence each. */
  readonly notices: readonly string[];

  /**
   * Refuses a first component that is unsuitable.
   *
   * @param first The first component.
   * @throws {VirstorError} `invalid` if its map does not fit on it.
   */
  check(first: FutureComponent): void;

  /**
   * Makes the pool, durably.
   *
   * @param candidates Its components, open and locked exclusively.
   * @returns The id that distinguishes it from pools of the same name.
   * @throws {VirstorError} `io`.
   */
  write(candidates: readonly Candidate[]): Promise<string>;
}

/**
 * Checks the size of a chunk.
 *
 * @param size The size that the caller wants, bytes.
 * @param fitted The size after fitting, bytes.
 * @param most The largest size of the format, bytes.
 * @throws {VirstorError} `invalid` if the size is not above 0, or too large.
 */
export function checkChunkSize(
  size: number,
  fitted: number,
  most: number,
): void {
  if (size > 0 && fitted <= most) return;
  throw new VirstorError(
    "invalid",
    `Cannot use a chunk size of ${inBytes(size)}: it is 1 to ${inBytes(most)}`,
  );
}

/**
 * Checks the size of a virtual disk.
 *
 * @param size The size that the caller wants, bytes.
 * @param chunkSize Bytes of a chunk.
 * @param fitted The size after fitting, bytes.
 * @throws {VirstorError} `invalid` if either is above 8 PiB, or the disk has no
 *   chunk.
 */
export function checkVirtualSize(
  size: number,
  chunkSize: number,
  fitted: number,
): void {
  if (size > VIRTUAL_SIZE_MAX || fitted > VIRTUAL_SIZE_MAX) {
    throw new VirstorError(
      "invalid",
      `Cannot make a virtual disk of ${inBytes(size)}: the maximum is ` +
        `${VIRTUAL_SIZE_MAX} bytes (8 PiB), rounded up to whole chunks`,
    );
  }
  if (fitted >= chunkSize) return;
  throw new VirstorError(
    "invalid",
    `Cannot make a virtual disk of ${inBytes(size)}: the minimum is one ` +
      `chunk (${inBytes(chunkSize)})`,
  );
}
