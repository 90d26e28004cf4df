/**
 * What a pool that is being made will be like, in either format.
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

/** What is asked for. */
export interface LabelRequest {
  /** The pool's name. */
  readonly name: string;
  /** Bytes of the virtual disk. */
  readonly virtualSize: number;
  /** Bytes of a chunk; undefined for the usual. */
  readonly chunkSize: number | undefined;
}

/** What it will be. */
export interface LabelPlan {
  /** Bytes of the virtual disk, fitted. */
  readonly virtualSize: number;
  /** How components are divided. */
  readonly layout: ComponentLayout;
  /** Chunks at the start of the first component that are not for data. */
  readonly reserved: number;
  /** What was fitted, a sentence each. */
  readonly notices: readonly string[];

  /**
   * Refuses a first component that will not do.
   *
   * @param first The component.
   * @throws {VirstorError} `invalid`.
   */
  check(first: FutureComponent): void;

  /**
   * Makes the pool.
   *
   * @param candidates Its components.
   * @returns What tells it from others of its name.
   * @throws {VirstorError} `io`.
   */
  write(candidates: readonly Candidate[]): Promise<string>;
}

/**
 * Fits the size of a virtual disk.
 *
 * @param size What is asked for, bytes.
 * @param chunkSize Bytes of a chunk.
 * @param fitted What it is to become, bytes.
 * @throws {VirstorError} `invalid` if it cannot be.
 */
export function checkVirtualSize(
  size: number,
  chunkSize: number,
  fitted: number,
): void {
  if (size > VIRTUAL_SIZE_MAX || fitted > VIRTUAL_SIZE_MAX) {
    throw new VirstorError(
      "invalid",
      `Cannot make a virtual disk of ${inBytes(size)}: ${VIRTUAL_SIZE_MAX} ` +
        "bytes (8 PiB) is the most, rounded up to whole chunks",
    );
  }
  if (fitted >= chunkSize) return;
  throw new VirstorError(
    "invalid",
    `Cannot make a virtual disk of ${inBytes(size)}: one chunk ` +
      `(${inBytes(chunkSize)}) is the least`,
  );
}
