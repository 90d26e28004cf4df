/**
 * Whether the components that stay have room for the chunks of those that are
 * to leave.
 *
 * @module
 */

import { counted, inBytes, isOrAre, VirstorError } from "../../errors.ts";
import type { Component } from "../core/mod.ts";

/**
 * Refuses an evacuation for which the other components have no room.
 *
 * @param name The pool's name.
 * @param leaving What is to leave.
 * @param members All components.
 * @param chunkSize Bytes of a chunk.
 * @throws {VirstorError} `no-space`, saying how many bytes are missing.
 */
export function checkRoom(
  name: string,
  leaving: readonly Component[],
  members: readonly Component[],
  chunkSize: number,
): void {
  const plan = roomFor(leaving, members);
  if (plan.used <= plan.free) return;
  throw new VirstorError(
    "no-space",
    `Cannot remove ${counted(leaving.length, "component")} from pool ` +
      `"${name}": ${counted(plan.used, "chunk")} would have to move and ` +
      `${plan.free} ${isOrAre(plan.free)} free on the others, ` +
      `${inBytes((plan.used - plan.free) * chunkSize)} short`,
  );
}

/**
 * What an evacuation needs, and what there is.
 *
 * @param leaving What is to leave.
 * @param members All components.
 * @returns Chunks to be moved; chunks that are free, or will be, on those that
 *   stay, less what others that leave need.
 */
export function roomFor(
  leaving: readonly Component[],
  members: readonly Component[],
): { used: number; free: number } {
  const stay = members.filter((one) => !leaving.includes(one) && !one.fenced);
  const others = members.filter((one) =>
    one.evacuating && !leaving.includes(one)
  );
  const free = stay.reduce((sum, one) => sum + one.free + one.releasing, 0);
  return { used: toMove(leaving), free: Math.max(0, free - toMove(others)) };
}

/** How many chunks have to move, and have no new place yet. */
function toMove(components: readonly Component[]): number {
  return components.reduce((sum, one) => sum + one.used - one.moving, 0);
}
