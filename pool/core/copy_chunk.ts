/**
 * Copying a chunk to another component.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import type { Completion, Extent } from "../../device/block/mod.ts";
import { VirstorError } from "../../errors.ts";
import { applied, finished } from "./component_device.ts";
import type { MirroredChunk } from "./moving_chunks.ts";
import { turn } from "./turn.ts";
import { WrittenRanges } from "./written_ranges.ts";

/** The most bytes that are copied at a time. */
const PIECE_BYTES = 1 << 20;
/** How much is left out where a disk cannot read: a page. */
const PAGE_BYTES = 4096;
const buffer = new Uint8Array(PIECE_BYTES);
/** What the parts of a remote piece are compared with, to leave out zeroes. */
const ZEROES = new Uint8Array(4096);

/** Offsets in a chunk: the first byte, and the one behind the last. */
type Run = readonly [start: number, end: number];

/** How to copy a chunk. */
export interface CopyOptions {
  /** Bytes of a chunk. */
  readonly chunkSize: number;
  /**
   * Whether to leave out holes, and pages of a remote component that are
   * zeroes, of which it does not say that they are holes. *Requires*, if so: the
   * new place reads as zeroes.
   */
  readonly skipsHoles: boolean;
  /** Whether to stop; called before each piece. Never by default. */
  readonly mustStop?: () => boolean;
  /**
   * Settles when `mustStop` becomes true, so that a component that does not
   * answer delays no stop.
   */
  readonly stopped?: Promise<void>;
  /**
   * Called with the bytes of each piece; settles when the copy may go on. At
   * once by default.
   */
  readonly spend?: (bytes: number) => Promise<void>;
  /**
   * Called with each page, or part of one, that a local component cannot read:
   * offsets in the chunk. It is left out of the copy. Without it the copy fails
   * there.
   */
  readonly onUnreadable?: ((start: number, end: number) => void) | undefined;
}

/**
 * Copies a chunk to another component.
 *
 * The function reads and writes each piece with no `await` in between, so that
 * no write to the chunk gets lost; between pieces other work gets a turn. A read
 * of a remote component takes time: what is written meanwhile, in both places, is
 * left out of the piece.
 *
 * *Requires*: writes to the chunk go to both places.
 *
 * @param copy The chunk. A failed write to the new place sets its `fault`.
 * @param options The chunk size, and what bounds the copy.
 * @returns False if the copy stopped before it was complete.
 * @throws {VirstorError} `io` if the chunk cannot be read.
 */
export async function copyChunk(
  copy: MirroredChunk,
  options: CopyOptions,
): Promise<boolean> {
  const { chunkSize, skipsHoles, mustStop = never, spend } = options;
  const { source: { device: source }, from } = copy;
  let skipped = 0;
  /** Up to where pages are read one by one, since some cannot be read. */
  let pagesUntil = 0;
  if (mustStop()) return false;
  const runs: readonly Extent[] = skipsHoles
    ? source.extents(from * chunkSize, chunkSize)
    : [{ length: chunkSize, kind: "data" }];
  for (const { length, kind } of runs) {
    const end = skipped + length;
    for (let at = skipped; kind !== "hole" && at < end;) {
      if (copy.fault !== undefined) return true;
      if (mustStop()) return false;
      const most = at < pagesUntil ? PAGE_BYTES - at % PAGE_BYTES : PIECE_BYTES;
      const count = Math.min(most, end - at);
      const isCopied = source.isRemote === true
        ? await copyRemotePiece(copy, at, count, options)
        : copyPiece(copy, at, count, options);
      if (isCopied === "unreadable") {
        // A disk may take seconds to fail.
        await turn();
        if (count > PAGE_BYTES) pagesUntil = at + count;
        else options.onUnreadable?.(at, at += count);
        continue;
      }
      if (!isCopied) return copy.fault !== undefined;
      const { behind } = copy.target.device;
      if (behind !== undefined && !await caughtUp(copy, behind, options)) {
        return copy.fault !== undefined;
      }
      at += count;
      await spend?.(count);
    }
    skipped = end;
  }
  return true;
}

/** @returns Whether it is copied; if it could be read, the copy has a fault. */
function copyPiece(
  copy: MirroredChunk,
  at: number,
  count: number,
  { chunkSize, onUnreadable }: CopyOptions,
): boolean | "unreadable" {
  const { source: { device: source }, from } = copy;
  const piece = buffer.subarray(0, count);
  try {
    finished(source.read(piece, from * chunkSize + at));
  } catch (error) {
    const isUnreadable = error instanceof VirstorError && error.code === "io";
    if (isUnreadable && onUnreadable !== undefined) return "unreadable";
    throw error;
  }
  return put(copy, piece, at, chunkSize);
}

/**
 * Copies a piece of a component on another machine.
 *
 * @returns Whether it is copied; else the copy has a fault, or has to stop.
 */
async function copyRemotePiece(
  copy: MirroredChunk,
  at: number,
  count: number,
  { chunkSize, skipsHoles, stopped }: CopyOptions,
): Promise<boolean> {
  const { source: { device: source }, from } = copy;
  // A read that is given up still fills its buffer, so it has its own.
  const piece = new Uint8Array(count);
  copy.written = new WrittenRanges();
  try {
    const reading = source.read(piece, from * chunkSize + at);
    if (!await endsBefore(stopped, reading)) return false;
    const gaps = copy.written.gaps(at, at + count);
    const runs = skipsHoles
      ? gaps.flatMap((gap) => data(piece, at, gap))
      : gaps;
    return copy.fault === undefined &&
      runs.every(([start, end]) =>
        put(copy, piece.subarray(start - at, end - at), start, chunkSize)
      );
  } finally {
    copy.written = undefined;
  }
}

/** The runs of pages of a range, in a piece from `at` on, that hold anything. */
function data(
  piece: Uint8Array,
  at: number,
  [start, end]: Run,
): Run[] {
  const runs: Run[] = [];
  for (let next = start; next < end;) {
    const page = next;
    next = Math.min(end, page - page % ZEROES.length + ZEROES.length);
    const bytes = piece.subarray(page - at, next - at);
    if (Buffer.compare(bytes, ZEROES.subarray(0, bytes.length)) === 0) continue;
    const last = runs.at(-1);
    if (last?.[1] === page) runs[runs.length - 1] = [last[0], next];
    else runs.push([page, next]);
  }
  return runs;
}

function put(
  copy: MirroredChunk,
  piece: Uint8Array,
  at: number,
  chunkSize: number,
): boolean {
  try {
    applied(copy.target.device.write(piece, copy.to * chunkSize + at));
    return true;
  } catch (error) {
    copy.fault = error;
    return false;
  }
}

/** Waits for the target, so that little waits for room there. */
async function caughtUp(
  copy: MirroredChunk,
  behind: Promise<void>,
  { stopped }: CopyOptions,
): Promise<boolean> {
  try {
    return await endsBefore(stopped, behind);
  } catch (error) {
    copy.fault ??= error;
    return false;
  }
}

/**
 * Waits for something, unless the copy has to stop.
 *
 * @param stopped Settles when it has to.
 * @param pending What to wait for; it may end later.
 * @returns Whether it has ended.
 */
export async function endsBefore(
  stopped: Promise<void> | undefined,
  pending: Completion,
): Promise<boolean> {
  if (pending === undefined) return true;
  if (stopped === undefined) {
    await pending;
    return true;
  }
  pending.catch(() => {});
  return await Promise.race([
    pending.then(() => true),
    stopped.then(() => false),
  ]);
}

function never(): boolean {
  return false;
}
