/**
 * Chunks that lose their mapping: those that were discarded as a whole, and
 * those of which discards have left nothing.
 *
 * @module
 */

import type { Completion } from "../../device/block/mod.ts";
import { assert, VirstorError } from "../../errors.ts";
import { applied, caughtUp, type Component } from "../core/mod.ts";
import type { FailedWrite } from "./chunk_writer.ts";
import type { VolumeParts } from "./pool_parts.ts";

/**
 * Unmaps chunks: they are on their way to be free. Not in a dense format.
 *
 * @param parts The open pool.
 * @param virtualChunks Mapped and not pinned; none is shared or hides another.
 * @returns A promise if that is complete later.
 * @throws {VirstorError} `failed`: what is on disk is unknown.
 */
export function unmapChunks(
  parts: VolumeParts,
  virtualChunks: readonly number[],
): Completion {
  const { map, base: { mapper, freeing } } = parts;
  const places = new Map<Component, number[]>();
  for (const v of virtualChunks) {
    const component = map.component(v);
    assert(component !== undefined, "a mapped chunk has a component");
    const chunks = places.get(component);
    if (chunks === undefined) places.set(component, [map.chunk(v)]);
    else chunks.push(map.chunk(v));
  }
  for (const [component, chunks] of places) mapper.release(component, chunks);
  for (const v of virtualChunks) map.delete(v);
  for (const [component, chunks] of places) freeing.add(component, chunks);
  return caughtUp(places.keys());
}

/**
 * Unmaps a chunk to which a write has failed because the component's file
 * system is full, so that the write can go to another component. Only a chunk
 * without data is unmapped, such as one that was mapped ahead for a lane.
 *
 * @param parts The open volume.
 * @param write The write.
 * @returns Whether the chunk was unmapped.
 * @throws {VirstorError} `failed`.
 */
export function unmapForWrite(
  parts: VolumeParts,
  { virtualChunk, error }: FailedWrite,
): boolean {
  if (parts.base.mapper.elsewhere(error) === undefined) return false;
  // What was written there before stays where it is: the write may wait now, and
  // must not take it away.
  if (!isUnused(parts, virtualChunk)) return false;
  // The write follows it on the way to completion.
  applied(unmapChunks(parts, [virtualChunk]));
  return true;
}

/**
 * Unmaps chunks that were mapped ahead of writes and hold no data. What threads
 * have written to is known without a look at the file.
 *
 * From the withdrawal of a lease until the chunk is unmapped no other code
 * runs: a write is seen, or comes later and finds the chunk unmapped.
 *
 * @param parts The open volume.
 * @param virtualChunks Which ones; those that were not mapped ahead stay.
 */
export function giveBackAhead(
  parts: VolumeParts,
  virtualChunks: Iterable<number>,
): void {
  const { map } = parts;
  const unused: number[] = [];
  for (const v of virtualChunks) {
    if (!map.ahead.delete(v) || map.leases?.isWritten(v) === true) continue;
    if (isUnused(parts, v)) unused.push(v);
  }
  if (unused.length === 0) return;
  try {
    // Only local components know what is blank, and complete it at once.
    applied(unmapChunks(parts, unused));
  } catch (error) {
    // The pool has failed, and says why.
    if (!(error instanceof VirstorError)) throw error;
  }
}

/**
 * Finds out whether a chunk may be unmapped because it holds no data, and
 * withdraws its lease: a thread cannot write to it any more in this turn.
 *
 * @param parts The open volume.
 * @param virtualChunk The chunk.
 * @returns Whether it may; then the caller unmaps it in the same turn.
 */
function isUnused(parts: VolumeParts, virtualChunk: number): boolean {
  const { map, base: { settings: { chunkSize } } } = parts;
  const component = map.writable(virtualChunk);
  if (component === undefined || map.provisioned.has(virtualChunk)) {
    return false;
  }
  if (map.pinned.has(virtualChunk) || map.hides(virtualChunk)) return false;
  map.leases?.withdraw(virtualChunk);
  const offset = map.chunk(virtualChunk) * chunkSize;
  return component.device.blanks?.isBlank(offset, chunkSize) === true;
}

/**
 * Gives back a chunk of which a part was punched, if that has left no data in
 * it: one look at the holes of its file. Blocks of the file system of which
 * several punches took a part each are punched as a whole first.
 *
 * A thread may write to the chunk at any time while the chunk is leased. So
 * the lease is withdrawn before the look that counts, and until the chunk is
 * unmapped no other code runs: a write is seen, or comes later and finds the
 * chunk unmapped.
 *
 * @param parts The open pool, not of a dense format.
 * @param virtualChunk The chunk; mapped, and not shared.
 * @param at The first byte that was punched, on the component.
 * @param count How many, inside the chunk.
 * @throws {VirstorError} `failed`: what is on disk is unknown.
 */
export function giveBackIfBlank(
  parts: VolumeParts,
  virtualChunk: number,
  at: number,
  count: number,
): void {
  const { map, base: { settings: { chunkSize } } } = parts;
  const component = map.component(virtualChunk);
  const blanks = component?.device.blanks;
  if (component === undefined || blanks === undefined || count === 0) return;
  // A chunk that is being moved, or that hides another, keeps its mapping.
  if (map.pinned.has(virtualChunk) || map.hides(virtualChunk)) return;
  const offset = map.chunk(virtualChunk) * chunkSize;
  const all = { offset, length: chunkSize };
  if (blanks.widen(at, count, all) !== undefined) {
    map.leases?.withdraw(virtualChunk);
    const wider = blanks.widen(at, count, all);
    if (wider !== undefined) component.data.discard(wider.offset, wider.length);
  }
  if (map.provisioned.has(virtualChunk)) return;
  if (!blanks.isBlank(offset, chunkSize)) return;
  if (map.leases !== undefined) {
    map.leases.withdraw(virtualChunk);
    if (!blanks.isBlank(offset, chunkSize)) return;
  }
  // Only local components know what is blank, and complete it at once.
  applied(unmapChunks(parts, [virtualChunk]));
}
