/**
 * Commands to a pool in a simulated world, noted in its model.
 *
 * @module
 */

import { type ErrorCode, VirstorError } from "../../errors.ts";
import type { RemoveResult } from "../../pool/mod.ts";
import type { MemberState } from "./members_model.ts";
import type { Outcome } from "./register.ts";
import type { World } from "./world.ts";

/**
 * Does what may be refused in words.
 *
 * @param world Where; while its pool is stopped, everything may be refused.
 * @param change What is done.
 * @param codes How it may be refused.
 * @returns Whether it was done.
 */
async function wasDone(
  world: World,
  change: Promise<unknown>,
  ...codes: readonly ErrorCode[]
): Promise<boolean> {
  try {
    await change;
    return true;
  } catch (error) {
    const isRefused = error instanceof VirstorError &&
      [...codes, ...world.refusals].includes(error.code);
    if (!isRefused) throw error;
    return false;
  }
}

/**
 * Adds a component.
 *
 * @param world Where.
 * @param path Its file.
 * @returns Whether it was added.
 */
export async function add(world: World, path: string): Promise<boolean> {
  const { pool, openDevice } = world;
  return await command(
    world,
    path,
    "in",
    () => pool.add([path], { force: true, openDevice }),
    "busy",
    "exists",
  );
}

/**
 * Removes a component, or begins to.
 *
 * @param world Where.
 * @param path Its file.
 * @param bytesPerSecond The highest rate of an evacuation; 0 for none.
 * @returns Whether it was removed, or is being evacuated.
 */
export async function remove(
  world: World,
  path: string,
  bytesPerSecond = 0,
): Promise<boolean> {
  const { pool } = world;
  return await command(
    world,
    path,
    "leaving",
    async () => {
      const result = await pool.remove([path], { bytesPerSecond });
      checkResult(path, result);
    },
    "invalid",
    "no-space",
  );
}

/**
 * Keeps a component that is being evacuated.
 *
 * @param world Where.
 * @param path Its file.
 * @returns Whether it stays.
 */
export async function cancel(world: World, path: string): Promise<boolean> {
  const { pool } = world;
  return await command(
    world,
    path,
    "in",
    async () => {
      const { kept } = await pool.cancelRemove([path]);
      if (kept.includes(path)) return;
      throw new Error(`Of "${path}", ${JSON.stringify(kept)} was kept`);
    },
    "invalid",
  );
}

/**
 * Gives the disk another size.
 *
 * @param world Where.
 * @param chunks How many virtual chunks.
 * @returns Whether it has that size.
 */
export async function resize(world: World, chunks: number): Promise<boolean> {
  const { pool, views, format: { chunkSize }, chunkBlocks } = world;
  const [first] = views.volumes;
  if (first === undefined) return false;
  // A rollback that comes before may give it another disk.
  const requests = views.disksOf(first).map((disk) => ({
    disk,
    request: disk.beginResize(chunks * chunkBlocks),
  }));
  let outcome: Outcome = "maybe";
  try {
    const how = { force: true, volume: pool.name };
    const change = pool.resize(chunks * chunkSize, how);
    const done = await wasDone(world, change, "invalid");
    outcome = done ? "done" : "refused";
    return done;
  } finally {
    const now = views.volumes.find(({ id }) => id === first.id)?.disk;
    for (const { disk, request } of requests) {
      const isIt = disk === now || outcome === "maybe";
      disk.endResize(request, isIt ? outcome : "refused");
    }
  }
}

/**
 * Enlarges the file of a component, and lets the pool take that in. If it may
 * not, the file gets its size again.
 *
 * @param world Where.
 * @param path Its file.
 */
export async function growComponent(world: World, path: string): Promise<void> {
  const { pool, enlarged, disk } = world;
  enlarged.begin(disk, path);
  const growing = pool.grow(path);
  const isDone = await wasDone(world, growing, "invalid", "not-found");
  enlarged.end(disk, path, isDone);
}

async function command(
  world: World,
  path: string,
  state: MemberState,
  act: () => Promise<unknown>,
  ...codes: readonly ErrorCode[]
): Promise<boolean> {
  const { members } = world;
  const request = members.begin(path, state);
  let outcome: Outcome = "maybe";
  try {
    const done = await wasDone(world, act(), ...codes);
    outcome = done ? "done" : "refused";
    return done;
  } finally {
    members.end(path, request, outcome);
  }
}

function checkResult(path: string, result: RemoveResult): void {
  const { removed, evacuating } = result;
  const all = [...removed, ...evacuating];
  if (all.length === 1 && all[0] === path) return;
  throw new Error(`To remove "${path}" gave ${JSON.stringify(result)}`);
}
