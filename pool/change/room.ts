/**
 * Whether the other components have space for the chunks of components that
 * are to be evacuated.
 *
 * @module
 */

import { counted, inBytes, isOrAre, VirstorError } from "../../errors.ts";
import type { Component } from "../core/mod.ts";

/**
 * Refuses an evacuation if the other components lack the space.
 *
 * @param name The pool's name.
 * @param leaving The components to evacuate.
 * @param members All components of the pool.
 * @param chunkSize Bytes of a chunk.
 * @throws {VirstorError} `no-space`, with the bytes that are missing.
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
 * Compares the chunks to move with the space for them.
 *
 * @param leaving The components to evacuate.
 * @param members All components of the pool.
 * @returns `used`: chunks to move. `free`: chunks on the components that stay
 *   that are free or being freed, less those that other evacuations need.
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

/** How many chunks have to move and have no new place yet. */
function toMove(components: readonly Component[]): number {
  return components.reduce((sum, one) => sum + one.used - one.moving, 0);
}
