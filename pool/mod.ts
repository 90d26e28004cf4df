/**
 * Thin-provisioned pools: made with {@linkcode labelPool}, opened with
 * {@linkcode openPool}. A {@linkcode Volume} of an open pool is a block device.
 *
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { checkComponents, labelPool, openPool } from "@virstor/virstor/pool";
 *
 * const directory = await Deno.makeTempDir();
 * const paths = [`${directory}/a.img`, `${directory}/b.img`];
 * await labelPool({ name: "demo", paths, createSize: 2 ** 26 });
 * {
 *   await using pool = await openPool(paths);
 *   await pool.volume().write(new Uint8Array(4096).fill(1), 0);
 *   await pool.remove([paths[0] ?? ""]);
 * }
 * assertEquals((await checkComponents(paths)).findings, []);
 * await Deno.remove(directory, { recursive: true });
 * ```
 *
 * @module
 */

export { lookBeside } from "./beside.ts";
export type { BesidePool, BesideReport } from "./beside.ts";
export type {
  AddOptions,
  AddResult,
  EvacuationStatus,
  GrowResult,
  JobKind,
  JobStatus,
  LiveSettings,
  Loss,
  LossStatus,
  RemoveOptions,
  RemovePlan,
  RemoveResult,
  ResizeOptions,
  ResumeOptions,
  RollbackOptions,
  SnapshotChanges,
  SnapshotName,
  SnapshotRemovalPlan,
  SnapshotStatus,
  SnapshotSummary,
  VolumeChanges,
  VolumeSettings,
  VolumeStatus,
  VolumeSummary,
} from "./change/mod.ts";
export type {
  Finding,
  FindingKind,
  FullPolicy,
  HostStatus,
  MissedEvents,
  MissingMember,
  PoolCounters,
  PoolEvent,
  PoolEventData,
  PoolEventKind,
  PoolSettings,
  RecoveryStep,
  RemoteChange,
  RemoteStatus,
  Severity,
  SpaceMark,
  SpaceSettings,
  Watermarks,
} from "./core/mod.ts";
export type { FormatName } from "./format/mod.ts";
export { grownPoolName, openToGrow } from "./grow.ts";
export { inspectComponents } from "./inspect.ts";
export type { InspectOptions } from "./inspect.ts";
export { clearLabels, labelPool } from "./label/mod.ts";
export type { ClearOptions, LabelOptions, LabelResult } from "./label/mod.ts";
export type { ComponentLabel } from "./member/mod.ts";
export type { ChangedRange } from "./changed_ranges.ts";
export { checkComponents, openPool } from "./open.ts";
export type { PoolOptions, PoolPlaces } from "./open.ts";
export { Pool } from "./pool.ts";
export type { RepairReport } from "./put_aside.ts";
export type {
  ConnectedDisk,
  FarConnectOptions,
  FarDisk,
  FarDiskStatus,
  FarEvent,
  FarWriteOptions,
  RemoteComponents,
} from "./remote/mod.ts";
export { repairComponents } from "./repair.ts";
export type { RepairOptions } from "./repair.ts";
export { SnapshotDisk } from "./snapshot_disk.ts";
export type { ComponentStatus, DelayedStatus, PoolStatus } from "./status.ts";
export {
  CHUNK_COMPONENT_SHIFT,
  CHUNK_DELAYED,
  CHUNK_MAPPED,
  CHUNK_UNKNOWN,
  PRESSURE_DELAYED,
  PRESSURE_FREE_SHIFT,
  PRESSURE_FULL,
  PRESSURE_LOW,
  PRESSURE_STOPPED,
} from "./status_contexts.ts";
export type {
  StatusContext,
  StatusFamily,
  StatusRun,
} from "./status_contexts.ts";
export { CHANGED } from "./changed_contexts.ts";
export { Volume } from "./volume.ts";
export { findLabel, readLabel, taste } from "./taste.ts";
export type {
  TastedComponent,
  TastedPool,
  TasteOptions,
  TasteReport,
} from "./taste.ts";
