/**
 * Whether the other components have space for the chunks of components that
 * are to be evacuated.
 *
 * @module
 */

import { counted, inBytes, isOrAre, VirstorError } from "../../errors.ts";
import type { Component } from "../core/mod.ts";
import type { PoolBase } from "../io/mod.ts";

/** The space that a removal takes, and that there is. */
export interface Room {
  /** Chunks to move. */
  readonly used: number;
  /**
   * Chunks on the components that stay that are free or being freed, less those
   * that other evacuations need.
   */
  readonly free: number;
  /** How many of these are set aside for volumes. */
  readonly reserved: number;
}

/**
 * Refuses a removal if the other components lack the space.
 *
 * @param name The pool's name.
 * @param count How many components are to be removed.
 * @param room The space.
 * @param chunkSize Bytes of a chunk.
 * @throws {VirstorError} `no-space`, with the bytes that are missing.
 */
export function checkRoom(
  name: string,
  count: number,
  room: Room,
  chunkSize: number,
): void {
  const { used, free, reserved } = room;
  if (fits(room)) return;
  const aside = reserved === 0 ? "" : `, with ${reserved} reserved for volumes`;
  throw new VirstorError(
    "no-space",
    `Cannot remove ${counted(count, "component")} from pool ` +
      `"${name}": ${counted(used, "chunk")} would have to move and ` +
      `${free} ${isOrAre(free)} free on the others${aside}, ` +
      `${inBytes((used + reserved - free) * chunkSize)} short`,
  );
}

/**
 * Whether the other components have the space.
 *
 * @param room The space.
 * @returns Whether there is enough, also for what is set aside.
 */
export function fits({ used, free, reserved }: Room): boolean {
  return used + reserved <= free;
}

/**
 * Compares the chunks to move with the space for them.
 *
 * @param base The open pool.
 * @param leaving The components to evacuate.
 * @returns The space.
 */
export function roomFor(
  { format: { members }, reserves }: Pick<PoolBase, "format" | "reserves">,
  leaving: readonly Component[],
): Room {
  const stay = members.filter((one) => !leaving.includes(one) && !one.fenced);
  const others = members.filter((one) =>
    one.evacuating && !leaving.includes(one)
  );
  const free = stay.reduce((sum, one) => sum + one.free + one.releasing, 0);
  return {
    used: toMove(leaving),
    free: Math.max(0, free - toMove(others)),
    reserved: reserves.lacking,
  };
}

/** How many chunks have to move and have no new place yet. */
function toMove(components: readonly Component[]): number {
  return components.reduce((sum, one) => sum + one.used - one.moving, 0);
}
