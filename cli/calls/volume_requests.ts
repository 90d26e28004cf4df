/**
 * Checks the requests of the calls that concern volumes and snapshots.
 *
 * @module
 */

import type { SnapshotName, VolumeSettings } from "../../pool/mod.ts";
import type { VolumeCalls } from "../control/mod.ts";
import { booleanOf, numberOf, refuseField, textOf } from "./request_fields.ts";

/** Checks and converts the request of each call. */
export const VOLUME_REQUEST_CHECKS: {
  readonly [Call in keyof VolumeCalls]: (
    fields: Record<string, unknown>,
  ) => VolumeCalls[Call]["request"];
} = {
  listVolumes: () => null,
  createVolume: (fields) => ({
    volume: textOf(fields, "volume"),
    size: numberOf(fields, "size"),
  }),
  removeVolume: (fields) => ({
    volume: textOf(fields, "volume"),
    wait: booleanOf(fields, "wait"),
  }),
  renameVolume: (fields) => ({
    volume: textOf(fields, "volume"),
    to: textOf(fields, "to"),
  }),
  setVolume: (fields) => ({
    volume: textOf(fields, "volume"),
    settings: settingsOf(fields),
  }),
  flattenVolume: (fields) => ({ volume: textOf(fields, "volume") }),
  cloneSnapshot: (fields) => ({
    ...snapshotOf(fields),
    to: textOf(fields, "to"),
  }),
  takeSnapshots: (fields) => ({ snapshots: snapshotsOf(fields) }),
  planRemoveSnapshots: (fields) => ({ snapshots: snapshotsOf(fields) }),
  removeSnapshots: (fields) => ({
    snapshots: snapshotsOf(fields),
    wait: booleanOf(fields, "wait"),
  }),
  rollback: (fields) => ({
    ...snapshotOf(fields),
    removesNewer: booleanOf(fields, "removesNewer"),
    force: booleanOf(fields, "force"),
  }),
  diff: (fields) => ({
    volume: textOf(fields, "volume"),
    from: textOf(fields, "from"),
    to: textOf(fields, "to"),
  }),
};

/** Reads the settings of a volume; the pool checks their values. */
function settingsOf(fields: Record<string, unknown>): VolumeSettings {
  const { settings }: { settings?: unknown } = fields;
  if (typeof settings !== "object" || settings === null) {
    return refuseField("settings", "object");
  }
  const given: {
    quota?: unknown;
    reserve?: unknown;
    onFull?: unknown;
    isReadOnly?: unknown;
  } = { ...settings };
  const { quota, reserve, onFull, isReadOnly } = given;
  const isPolicy = onFull === "" || onFull === "delay" || onFull === "error";
  return {
    ...quota !== undefined && { quota: numberOf({ quota }, "quota") },
    ...reserve !== undefined && { reserve: numberOf({ reserve }, "reserve") },
    ...onFull !== undefined && {
      onFull: isPolicy ? onFull : refuseField("onFull", "policy"),
    },
    ...isReadOnly !== undefined && { isReadOnly: isReadOnly === true },
  };
}

function snapshotOf(fields: Record<string, unknown>): SnapshotName {
  return {
    volume: textOf(fields, "volume"),
    snapshot: textOf(fields, "snapshot"),
  };
}

function snapshotsOf(fields: Record<string, unknown>): SnapshotName[] {
  const { snapshots }: { snapshots?: unknown } = fields;
  if (!Array.isArray(snapshots)) return refuseField("snapshots", "list");
  return snapshots.map((one) =>
    snapshotOf(typeof one === "object" && one !== null ? { ...one } : {})
  );
}
