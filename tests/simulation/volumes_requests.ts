/**
 * Requests in the life of a pool with volumes, noted in its model. They begin,
 * and end when they do.
 *
 * @module
 */

import type { ModelVolume, TimedWrite } from "../helpers/volumes_model.ts";
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
  life.start(() => device.read(bytes, first * BLOCK), (isDone) => {
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
