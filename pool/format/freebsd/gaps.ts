/**
 * Closing gaps in the allocation of format 1.
 *
 * FreeBSD finds the next free chunk by counting map entries, so the chunks in
 * use must lie without a gap: on each component from the reserved ones up, and
 * on a component only when all before it are full. A power cut may keep a
 * later map entry and lose an earlier one. Then the last chunk in use is moved
 * down into the gap, before anything else is allocated.
 *
 * @module
 */

import { assert } from "../../../errors.ts";
import {
  type ChunkMove,
  type Component,
  copyChunk,
  type ForwardMap,
  mappedChunks,
} from "../../core/mod.ts";
import type { PoolFormat } from "../mod.ts";

interface Place {
  readonly component: Component;
  readonly chunk: number;
}

/**
 * Whether the chunks in use lie without a gap.
 *
 * @param members The components in order.
 * @returns Whether FreeBSD would count right.
 */
export function isDense(members: readonly Component[]): boolean {
  let roomBefore = false;
  return members.every((one) => {
    const end = one.geometry.chunkReserved + one.used;
    if (one.next < end || (roomBefore && one.used > 0)) return false;
    roomBefore ||= one.free > 0;
    return true;
  });
}

/**
 * Moves the last chunks in use down into the gaps, durably.
 *
 * Each copy is durable before the entry that points to it is written, and the
 * entry before the place that became free can be handed out: a stop anywhere
 * leaves the old mapping or the new one.
 *
 * @param format The format, with its members.
 * @param map The forward map, which is changed.
 * @param chunkSize Bytes of a chunk.
 * @returns How many chunks were moved.
 */
export async function closeGaps(
  format: PoolFormat,
  map: ForwardMap,
  chunkSize: number,
): Promise<number> {
  const { members } = format;
  const owners = ownersOf(members, map);
  const moves = planMoves(members, owners);
  for (const move of moves) {
    // What a gap holds is not known: holes are copied, too.
    await copyChunk(move, { chunkSize, skipsHoles: false });
    if (move.fault !== undefined) throw move.fault;
  }
  for (const { device } of new Set(moves.map(({ target }) => target))) {
    await device.flush();
  }
  for (const { source, from, target, to, virtualChunk } of moves) {
    format.recordMapping(virtualChunk, map.owner, target, to);
    map.set(virtualChunk, target, to);
    target.use(to);
    source.used--;
    source.freeChunks.add(from);
  }
  await members[0]?.device.flush();
  return moves.length;
}

/** For each component, which virtual chunk each of its chunks holds. */
function ownersOf(
  members: readonly Component[],
  map: ForwardMap,
): Map<number, number>[] {
  const owners = members.map(() => new Map<number, number>());
  for (const v of mappedChunks(map)) {
    const component = map.component(v);
    assert(component !== undefined, "a mapping names a member");
    owners[component.index]?.set(map.chunk(v), v);
  }
  return owners;
}

function planMoves(
  members: readonly Component[],
  owners: readonly Map<number, number>[],
): ChunkMove[] {
  const moves: ChunkMove[] = [];
  const tails = places(members, true);
  const ownerOf = ({ component, chunk }: Place) =>
    owners[component.index]?.get(chunk);
  let left = owners.reduce((sum, one) => sum + one.size, 0);
  // Whatever is in use among the first `left` places stays; the rest moves.
  for (const to of places(members, false)) {
    if (left-- <= 0) break;
    if (ownerOf(to) !== undefined) continue;
    let from = tails.next().value;
    while (from !== undefined && ownerOf(from) === undefined) {
      from = tails.next().value;
    }
    const virtualChunk = from && ownerOf(from);
    assert(
      from !== undefined && virtualChunk !== undefined,
      "a gap has a tail",
    );
    moves.push({
      virtualChunk,
      source: from.component,
      from: from.chunk,
      target: to.component,
      to: to.chunk,
      fault: undefined,
    });
  }
  return moves;
}

/** All places for data, in the order of allocation or against it. */
function* places(
  members: readonly Component[],
  backwards: boolean,
): Generator<Place, undefined> {
  for (const component of backwards ? members.toReversed() : members) {
    const { chunkReserved, chunkCount } = component.geometry;
    for (let i = 0; i < chunkCount - chunkReserved; i++) {
      const chunk = backwards ? chunkCount - 1 - i : chunkReserved + i;
      yield { component, chunk };
    }
  }
}
