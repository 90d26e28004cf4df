/**
 * Limits in the life of a pool with volumes: quotas, reserves, policies, and file
 * systems of the host that are full.
 *
 * @module
 */

import { VirstorError } from "../../errors.ts";
import { type ModelLimits, withVolume } from "../helpers/volumes_model.ts";
import { now } from "./volumes_commands.ts";
import { CHUNK } from "./volumes_files.ts";
import type { VolumesLife } from "./volumes_life.ts";

/** The most chunks of a quota, and of a reserve. */
const QUOTA_MAX = 14;
const RESERVE_MAX = 5;

/**
 * Begins to set the limits of a volume.
 *
 * @param life The life.
 */
export async function setLimits(life: VolumesLife): Promise<void> {
  await life.changed();
  if (life.disk.isDown) return;
  const { random, pool } = life;
  const volume = random.pick(life.volumes);
  const quota = random.chance(50) ? 1 + random.below(QUOTA_MAX) : 0;
  const most = Math.min(RESERVE_MAX, quota === 0 ? RESERVE_MAX : quota);
  const reserve = random.chance(40) ? random.below(most + 1) : 0;
  const limits: ModelLimits = {
    quota: quota * CHUNK,
    reserve: reserve * CHUNK,
    onFull: random.pick(["", "", "delay", "error"]),
  };
  life.log.push(`set ${volume.name} ${JSON.stringify(limits)}`);
  life.limitChanges++;
  life.isSetting = true;
  let isRefused = false;
  life.begin(
    async () => {
      try {
        await pool.volumeChanges.set(volume.name, limits);
      } catch (error) {
        // What is to be set aside may not be free.
        const isSmall = error instanceof VirstorError && reserve > 0 &&
          error.code === "no-space";
        if (!isSmall) throw error;
        isRefused = true;
      } finally {
        life.isSetting = false;
      }
    },
    () =>
      isRefused
        ? life.volumes
        : withVolume(life.volumes, { ...now(life, volume), limits }),
  );
}

/**
 * A file system of the host has no room any more, or has room again.
 *
 * @param life The life.
 */
export function fillHost(life: VolumesLife): void {
  const { random, disk: { full } } = life;
  life.limitChanges++;
  if (full.size > 0) {
    life.log.push("the host has room");
    return full.clear();
  }
  const path = random.pick(life.pool.status().components).path;
  life.log.push(`the host is full under ${path.slice(-1)}`);
  full.add(path);
}
