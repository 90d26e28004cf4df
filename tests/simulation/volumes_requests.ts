/**
 * Requests in the life of a pool with volumes, noted in its model. They begin,
 * and end when they do.
 *
 * @module
 */

import { VirstorError } from "../../errors.ts";
import type { SnapshotDisk, Volume } from "../../pool/mod.ts";
import type { ModelVolume, TimedWrite } from "../helpers/volumes_model.ts";
import { type Lane, laneTo } from "./lane.ts";
import { BLOCK, contentOf, filledBlocks } from "./model_pool.ts";
import type { VolumesLife } from "./volumes_life.ts";

/** What is done to blocks. */
export type BlockChange = "write" | "fua" | "discard" | "zero" | "allocate";

/**
 * Begins to change blocks of a volume.
 *
 * @param life The life.
 * @param volume The volume.
 * @param range The first block, and how many.
 * @param how What is done.
 */
export function changeBlocks(
  life: VolumesLife,
  volume: ModelVolume,
  range: { readonly first: number; readonly count: number },
  how: BlockChange,
): void {
  const { first, count } = range;
  const target = life.target(volume);
  if (target === undefined) return;
  const { device, disk } = target;
  const isWrite = how === "write" || how === "fua";
  const content = isWrite ? ++life.serial : 0;
  life.log.push(`${how} ${volume.name} ${first}+${count} (${content})`);
  const note = disk.begin(first, count, content);
  const timed: TimedWrite = {
    ...{ disk, content, first, count },
    begun: ++life.clock,
    ended: Infinity,
  };
  if (how !== "discard") life.writes.push(timed);
  const [at, length] = [first * BLOCK, count * BLOCK];
  const act = (signal: AbortSignal) => {
    if (how === "discard") return device.discard(at, length, { signal });
    if (!isWrite) {
      const noHole = how === "allocate";
      return device.writeZeroes(at, length, { noHole, signal });
    }
    const bytes = filledBlocks(content, first, count);
    if (how === "write" && life.laneRandom.chance(30)) {
      return onLane(
        life,
        device,
        (lane) => lane.write(bytes, at, life.laneRandom, signal),
      );
    }
    const pending = device.write(bytes, at, { fua: how === "fua", signal });
    // They are the caller's again.
    bytes.fill(0xdd);
    return pending;
  };
  life.start(act, (isDone) => {
    if (isDone) timed.ended = ++life.clock;
    const outcome = how === "fua" ? "durable" : "done";
    disk.end(note, isDone && how !== "discard" ? outcome : "maybe");
  }, volume);
}

/**
 * Begins to read blocks.
 *
 * @param life The life.
 * @param volume The volume.
 * @param range The first block, and how many.
 */
export function readRange(
  life: VolumesLife,
  volume: ModelVolume,
  range: { readonly first: number; readonly count: number },
): void {
  const { first, count } = range;
  const target = life.target(volume);
  if (target === undefined) return;
  const { device, disk } = target;
  const read = disk.beginRead(first, count);
  const bytes = new Uint8Array(count * BLOCK);
  const { laneRandom } = life;
  const at = first * BLOCK;
  const act = laneRandom.chance(50)
    ? () => device.read(bytes, at)
    : () =>
      onLane(life, device, (lane) => lane.readFrom(at, bytes, laneRandom));
  if (laneRandom.chance(50)) readOneSnapshot(life, volume);
  life.start(act, (isDone) => {
    disk.endRead(read);
    if (!isDone) return;
    for (let i = 0; i < count; i++) {
      const block = bytes.subarray(i * BLOCK, (i + 1) * BLOCK);
      const found = contentOf(first + i, block);
      if (read.contents[i]?.has(found) === true) continue;
      throw new Error(
        `A read of block ${first + i} of ${volume.name} gave ${found}`,
      );
    }
  });
}

/** Does something on a lane. Its device may be closed between two chunks. */
async function onLane(
  life: VolumesLife,
  device: Volume | SnapshotDisk,
  act: (lane: Lane) => Promise<void>,
): Promise<void> {
  const { pool, disk } = life;
  const acting = act(laneTo(device, disk));
  life.onLanes.add(acting);
  try {
    await acting;
  } catch (error) {
    const isGone = !pool.volumes.some((one) =>
      one === device ||
      one.snapshots.some(({ name }) => `${one.name}@${name}` === device.name)
    );
    const isEnd = error instanceof VirstorError && error.code === "shutdown";
    if (!isEnd || !isGone) throw error;
    throw new VirstorError("cancelled", error.message, { cause: error });
  } finally {
    life.onLanes.delete(acting);
  }
}

/** Begins to read all of a snapshot of a volume on a lane, if it has one. */
function readOneSnapshot(life: VolumesLife, volume: ModelVolume): void {
  const { laneRandom, pool } = life;
  if (volume.snapshots.length === 0) return;
  const snapshot = laneRandom.pick(volume.snapshots);
  const { name, contents } = snapshot;
  let device: SnapshotDisk;
  try {
    device = pool.snapshotDisk(volume.name, name);
  } catch {
    // It is being removed, or the volume is rolled back.
    return;
  }
  const bytes = new Uint8Array(contents.length * BLOCK);
  const act = () =>
    onLane(life, device, (lane) => lane.readAll(bytes, laneRandom));
  life.start(act, (isDone) => {
    if (!isDone) return;
    assertContents(device, bytes, (b) => contents[b]);
  });
}

/**
 * Reads all volumes and snapshots on lanes, which keep their leases.
 *
 * @param life The life; nothing is under way.
 * @throws {Error} If anything reads as it may not.
 */
export async function readOnLanes(life: VolumesLife): Promise<void> {
  const { pool, laneRandom } = life;
  for (const { name, disk, snapshots } of life.volumes) {
    const read = async (
      device: Volume | SnapshotDisk,
      allowed: (block: number) => ReadonlySet<number> | undefined,
    ) => {
      const bytes = new Uint8Array(device.size);
      await laneTo(device, life.disk).readAll(bytes, laneRandom);
      assertContents(device, bytes, allowed);
    };
    await read(pool.volume(name), (b) => disk.allowed(b));
    for (const one of snapshots) {
      const device = pool.snapshotDisk(name, one.name);
      await read(device, (b) => one.contents[b]);
    }
  }
}

function assertContents(
  { name }: Volume | SnapshotDisk,
  bytes: Uint8Array,
  allowed: (block: number) => ReadonlySet<number> | undefined,
): void {
  for (let b = 0; b * BLOCK < bytes.length; b++) {
    const found = contentOf(b, bytes.subarray(b * BLOCK, (b + 1) * BLOCK));
    if (allowed(b)?.has(found) === true) continue;
    throw new Error(
      `A lane read ${found} in block ${b} of ${name}, it may hold ` +
        `${[...allowed(b) ?? []]}`,
    );
  }
}

/**
 * Begins to flush.
 *
 * @param life The life.
 */
export function flushAll(life: VolumesLife): void {
  const { pool, rolling } = life;
  life.log.push("flush");
  const disks = life.volumes.map(({ disk }) => disk);
  if (rolling !== undefined) disks.push(rolling.disk);
  const flushes = disks.map((disk) => [disk, disk.beginFlush()] as const);
  const [device] = pool.volumes;
  life.start(() => device?.flush(), (isDone) => {
    for (const [disk, flush] of flushes) {
      disk.endFlush(flush, isDone && device !== undefined);
    }
  });
}
