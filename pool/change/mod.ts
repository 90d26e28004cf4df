/**
 * Changes of an open pool, one at a time: add, remove, resize, evacuate.
 *
 * @module
 */

export type { AddOptions, AddResult } from "./adding.ts";
export { Collector } from "./collector.ts";
export { PoolControl } from "./control.ts";
export type { ControlHooks } from "./control.ts";
export type { EvacuationStatus, ResumeOptions } from "./evacuation_status.ts";
export { isStillRunning } from "./far_waits.ts";
export type { GrowResult } from "./growing.ts";
export { Jobs } from "./jobs.ts";
export type { JobKind, JobStatus } from "./jobs.ts";
export { lossWarnings } from "./losses.ts";
export type { Loss, LossStatus } from "./losses.ts";
export type { LiveSettings } from "./live_settings.ts";
export { planRemoval } from "./membership.ts";
export type { RemoveOptions, RemovePlan, RemoveResult } from "./membership.ts";
export type { ResizeOptions } from "./resize.ts";
export { SnapshotChanges } from "./snapshot_changes.ts";
export type { RollbackOptions } from "./snapshot_changes.ts";
export { VolumeChanges } from "./volume_changes.ts";
export { assertHasVolumes, snapshotNamed, volumeNamed } from "./volume_list.ts";
export type { SnapshotName, VolumeHooks } from "./volume_list.ts";
export type { VolumeSettings } from "./volume_settings.ts";
export { describeVolumes, summarizeVolumes } from "./volume_status.ts";
export type {
  SnapshotRemovalPlan,
  SnapshotStatus,
  SnapshotSummary,
  VolumeStatus,
  VolumeSummary,
} from "./volume_status.ts";
