/**
 * What must hold of the chunks of a pool at any moment, whatever is in flight:
 * each is in use, free, being freed or reserved by the format; each one in use
 * is of a volume; no volume takes more than its quota, or what is set aside for
 * another one.
 *
 * @module
 */

import type { Component, ForwardMap } from "../../pool/core/mod.ts";
import type { VolumeParts } from "../../pool/io/mod.ts";
import { CHUNK } from "./volumes_files.ts";
import type { VolumesLife } from "./volumes_life.ts";

/** What a volume used when it was looked at last. */
interface Usage {
  readonly quota: number;
  readonly used: number;
}

/** Looks at the chunks of a pool, again and again. */
export class Accounts {
  /** By the volume, as long as it is open. */
  #usages = new Map<VolumeParts, Usage>();

  /**
   * Counts all chunks.
   *
   * @param life The life; a step has just ended.
   * @throws {Error} If chunks got lost, or a volume has more than it may.
   */
  check(life: VolumesLife): void {
    const [first] = life.pool.volumes;
    if (first === undefined || life.disk.isDown) return;
    const { base } = first.parts;
    const { members } = base.format;
    members.forEach(checkComponent);
    // A volume that is removed, or rolled back, lets go of chunks in between.
    if (life.rolling !== undefined || base.removed.size > 0) return;
    const sum = <T>(all: readonly T[], count: (one: T) => number) =>
      all.reduce((total, one) => total + count(one), 0);
    const owned = sum(base.volumes, ({ map }) => chunksOf(map));
    const used = sum(members, (one) => one.used - one.unrecorded);
    // A chunk that has moved counts twice until its old place is given up.
    const isMoving = members.some((one) => one.evacuating);
    if (isMoving ? owned > used : owned !== used) {
      throw new Error(`${used} chunks are in use, and volumes have ${owned}`);
    }
    if (life.isSetting) return;
    for (const one of base.volumes) this.#checkQuota(one);
    // What is moved takes chunks of the others for a while.
    if (isMoving) return;
    const lacks = sum(
      base.volumes,
      ({ firstWrites: { limits } }) =>
        Math.max(0, limits.reserveChunks - limits.used),
    );
    const free = sum(members, (one) => one.free + one.releasing);
    if (lacks <= free) return;
    throw new Error(`${lacks} chunks are set aside, and ${free} are free`);
  }

  #checkQuota(volume: VolumeParts): void {
    const { record, firstWrites: { limits: { used } } } = volume;
    const before = this.#usages.get(volume);
    const { quota } = record;
    this.#usages.set(volume, { quota, used });
    const hasGrown = before?.quota === quota && used > before.used;
    if (quota === 0 || used * CHUNK <= quota || !hasGrown) return;
    throw new Error(
      `${record.name} uses ${used} chunks, and its quota is ${quota / CHUNK}`,
    );
  }
}

function checkComponent(component: Component): void {
  const { used, free, releasing, unrecorded, geometry, device } = component;
  const { chunkCount, chunkReserved } = geometry;
  const counted = used + free + releasing + chunkReserved;
  if (counted === chunkCount && unrecorded >= 0 && releasing >= 0) return;
  throw new Error(
    `${device.path} has ${chunkCount} chunks: ${used} in use, ${unrecorded} of ` +
      `them without an entry, ${free} free, ${releasing} being freed, ` +
      `${chunkReserved} reserved`,
  );
}

function chunksOf({ mapped, old }: ForwardMap): number {
  return mapped + old.size;
}
