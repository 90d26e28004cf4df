/**
 * What the superblock says of volumes after a change of their snapshots.
 *
 * @module
 */

import type { VolumeRecord } from "../../metadata/native/mod.ts";
import type { ForwardMap } from "../core/mod.ts";
import type { VolumeParts } from "../io/mod.ts";
import { withRecord } from "./volume_list.ts";

/** A snapshot that is about to be taken. */
export interface Taken {
  readonly parts: VolumeParts;
  readonly name: string;
}

/** The records with snapshots of what the volumes are now. */
export function withTaken(
  records: readonly VolumeRecord[],
  taken: readonly Taken[],
  created: number,
): readonly VolumeRecord[] {
  return taken.reduce((all, { parts: { record, map: { epoch } }, name }) => {
    const snapshot = { name, epoch, size: record.size, created };
    const snapshots = [...record.snapshots, snapshot];
    return withRecord(all, { ...record, epoch: epoch + 1, snapshots });
  }, records);
}

/** The record of a volume that is rolled back to a snapshot. */
export function rolledBack(
  record: VolumeRecord,
  { epoch: last }: ForwardMap,
  { epoch, size }: VolumeRecord["snapshots"][number],
): VolumeRecord {
  // Of a rollback before this one nothing is left: it, or the open after it,
  // has released all that was born in its dead epochs.
  const dead = [{ first: epoch + 1, last }];
  const snapshots = record.snapshots.filter((one) => one.epoch <= epoch);
  return { ...record, size, epoch: last + 1, snapshots, dead };
}
