/**
 * What must hold for a pool in a simulated world.
 *
 * @module
 */

import type { Pool, Volume } from "../../pool/mod.ts";
import type { SnapshotDisk } from "../../pool/snapshot_disk.ts";
import { BLOCK, contentOf } from "./model_pool.ts";
import { JOURNAL_SUFFIX } from "./remote_member.ts";
import type { World } from "./world.ts";
import type { RawComponent, StoppedPool } from "./world_format.ts";

/** A disk that can be read at once. */
type Disk = Pick<Volume | SnapshotDisk, "name" | "size" | "read" | "extents">;

/**
 * Reads a whole disk and holds it against what is promised.
 *
 * @param device The volume, or the disk of a snapshot; its reads do not have to
 *   wait.
 * @param allowed What each block may hold.
 * @returns The content of each block.
 * @throws {Error} If a block holds anything else.
 */
export function checkContent(
  device: Disk,
  allowed: (block: number) => ReadonlySet<number> | undefined,
): number[] {
  const found: number[] = [];
  const bytes = new Uint8Array(BLOCK);
  for (let block = 0; block * BLOCK < device.size; block++) {
    device.read(bytes, block * BLOCK);
    const content = contentOf(block, bytes);
    if (allowed(block)?.has(content) !== true) {
      throw new Error(
        `Block ${block} of ${device.name} holds ${content}, it may hold ` +
          `${[...allowed(block) ?? []]}`,
      );
    }
    found.push(content);
  }
  checkExtents(device, found);
  return found;
}

/** What a disk calls a hole, or zeroes, has to read as zeroes. */
function checkExtents(device: Disk, found: readonly number[]): void {
  let end = 0;
  for (const { length, kind } of device.extents(0, device.size)) {
    const start = end;
    end += length;
    if (kind === "data") continue;
    const last = Math.ceil(end / BLOCK);
    const blocks = found.slice(Math.floor(start / BLOCK), last);
    if (blocks.every((content) => content === 0)) continue;
    throw new Error(
      `Bytes ${start} to ${end} of ${device.name} are no ${kind}`,
    );
  }
}

/**
 * Lets an open pool check itself.
 *
 * @param pool The pool.
 * @throws {Error} If it finds anything.
 */
export async function checkLive(pool: Pool): Promise<void> {
  const findings = await pool.check();
  if (findings.length > 0) throw new Error(JSON.stringify(findings));
}

/**
 * Checks that every chunk is in use, free or reserved.
 *
 * @param pool The pool; nothing goes on beside the requests.
 * @throws {Error} If chunks got lost.
 */
export function checkChunks(pool: Pool): void {
  const { usedChunks, freeChunks, reservedChunks, physicalChunks } = pool
    .status();
  if (usedChunks + freeChunks + reservedChunks === physicalChunks) return;
  throw new Error(
    `Chunks got lost: ${physicalChunks}, ${usedChunks} of them in use, ` +
      `${freeChunks} free, ${reservedChunks} reserved`,
  );
}

/**
 * Checks that no file is open but those of members.
 *
 * @param world The world; no command is in flight.
 * @throws {Error} If one is.
 */
export function checkOpenFiles({ disk, pool }: World): void {
  const { components } = pool.status();
  for (const { path, writer } of disk.files) {
    if (writer === undefined || path.endsWith(JOURNAL_SUFFIX)) continue;
    if (components.some((one) => one.path === path)) continue;
    throw new Error(`"${path}" was left open, and is no member`);
  }
}

/**
 * Stops a pool that has come to rest.
 *
 * @param world The world.
 * @returns What the pool said of itself, and its components.
 * @throws {Error} If chunks got lost, or files are open that should not be.
 */
export async function stopSound(
  world: World,
): Promise<Pick<StoppedPool, "status" | "members">> {
  const status = world.pool.status();
  checkChunks(world.pool);
  checkOpenFiles(world);
  await world.close();
  const members = status.components.map(({ path }) => rawAt(world, path));
  return { status, members };
}

/**
 * Opens a pool that was stopped, and stops it again.
 *
 * @param world The world.
 * @param members The components of the stopped pool.
 * @throws {Error} If that changes more of them than what counts opens.
 */
export async function checkSecondOpen(
  world: World,
  members: readonly RawComponent[],
): Promise<void> {
  await world.open();
  await world.settle();
  await world.close();
  const { essence } = world.format;
  for (const one of members) {
    if (essence(one) === essence(rawAt(world, one.path))) continue;
    throw new Error(`A second open changed "${one.path}"`);
  }
}

function rawAt({ disk }: World, path: string): RawComponent {
  return { path, bytes: disk.file(path).bytes };
}

/**
 * How a pool does, for a complaint.
 *
 * @param pool The pool.
 * @returns One line.
 */
export function summaryOf(pool: Pool): string {
  const { evacuation, components, delayed, state, reason } = pool.status();
  const chunks = components.map((one) =>
    `${one.used} used, ${one.free} free, ${one.freeing} freeing` +
    (one.evacuating ? ", evacuating" : "")
  );
  return JSON.stringify({
    evacuation,
    chunks,
    delayed: delayed.count,
    state,
    reason,
  });
}

/**
 * Whether nothing goes on beside the requests.
 *
 * @param world The world.
 * @returns Whether that is so.
 * @throws {Error} If an evacuation has stopped, and nothing has failed.
 */
export function isAtRest({ pool, disk }: World): boolean {
  const { evacuation, components, freeingChunks, jobs, state } = pool.status();
  if (state !== "open") return true;
  if (evacuation?.state === "stopped") {
    if (disk.isFaulty || disk.isDown) return freeingChunks === 0;
    throw new Error(`The evacuation stopped: ${evacuation.reason}`);
  }
  const hasRoom = components.some((one) => !one.evacuating && one.free > 0);
  const isMoving = evacuation?.state === "moving" ||
    (evacuation?.state === "waiting" && hasRoom);
  return freeingChunks === 0 && jobs.length === 0 && !isMoving;
}
