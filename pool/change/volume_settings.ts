/**
 * What can be set of a volume: its limits.
 *
 * @module
 */

import { counted, inBytes, isOrAre, VirstorError } from "../../errors.ts";
import type { VolumeRecord } from "../../metadata/native/mod.ts";
import { VIRTUAL_SIZE_MAX } from "../core/mod.ts";
import type { VolumeParts } from "../io/mod.ts";

/** What can be set of a volume; what is absent stays as it is. */
export interface VolumeSettings {
  /**
   * The most bytes that the volume takes in the pool, its snapshots included;
   * whole chunks count. 0 for no quota.
   */
  readonly quota?: number;
  /** Bytes that are set aside for the volume; 0 for none. */
  readonly reserve?: number;
  /** What writes do that find no chunk; "" for what the pool does. */
  readonly onFull?: VolumeRecord["onFull"];
  /** Whether writes are refused. */
  readonly isReadOnly?: boolean;
}

/**
 * Changes a record.
 *
 * @param record The volume.
 * @param settings What to set.
 * @returns The new record.
 */
export function withSettings(
  record: VolumeRecord,
  {
    quota = record.quota,
    reserve = record.reserve,
    onFull = record.onFull,
    isReadOnly = record.isReadOnly,
  }: VolumeSettings,
): VolumeRecord {
  return { ...record, quota, reserve, onFull, isReadOnly };
}

/**
 * Checks the limits of a record.
 *
 * @param record The volume.
 * @param chunkSize Bytes of a chunk.
 * @param what What is refused, as in `set limits of volume "a"`.
 * @throws {VirstorError} `invalid`.
 */
export function assertLimits(
  { quota, reserve, onFull }: VolumeRecord,
  chunkSize: number,
  what: string,
): void {
  const isAmount = (bytes: number) =>
    Number.isInteger(bytes) && bytes >= 0 && bytes <= VIRTUAL_SIZE_MAX;
  const refused = !isAmount(quota) || !isAmount(reserve)
    ? `quota and reserve are 0 to ${VIRTUAL_SIZE_MAX} bytes (8 PiB)`
    : quota > 0 && quota < chunkSize
    ? `a quota is at least a chunk, ${inBytes(chunkSize)}`
    : quota > 0 && reserve > quota
    ? `the reserve of ${inBytes(reserve)} is above the quota of ` +
      inBytes(quota)
    : !["", "delay", "error"].includes(onFull)
    ? 'writes to a full pool "delay" or "error"'
    : undefined;
  if (refused === undefined) return;
  throw new VirstorError("invalid", `Cannot ${what}: ${refused}`);
}

/**
 * Checks that what is to be set aside is free.
 *
 * @param volume The open volume.
 * @param record Its new record.
 * @param what What is refused.
 * @throws {VirstorError} `no-space`.
 */
export function assertFree(
  { base, map, firstWrites: { limits } }: VolumeParts,
  { reserve }: VolumeRecord,
  what: string,
): void {
  const chunks = Math.ceil(reserve / base.settings.chunkSize) - limits.used;
  // What an evacuation is about to take is not free.
  const leaving = base.format.members.filter((one) => one.evacuating);
  const toMove = leaving.reduce((sum, one) => sum + one.used - one.moving, 0);
  const free = Math.max(0, base.reserves.freeFor(map.volume) - toMove);
  if (chunks <= free) return;
  throw new VirstorError(
    "no-space",
    `Cannot ${what}: a reserve of ${inBytes(reserve)} needs ` +
      `${counted(chunks, "chunk")} more, and ${free} ${isOrAre(free)} free`,
  );
}
