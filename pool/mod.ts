/**
 * Thin-provisioned pools: made with {@linkcode labelPool}, opened with
 * {@linkcode openPool}, used as a block device.
 *
 * @module
 */

export { lookBeside } from "./beside.ts";
export type { BesidePool, BesideReport } from "./beside.ts";
export type { Blanks, ComponentDevice, OpenDevice } from "./component.ts";
export type { Finding, FindingKind, Severity } from "./findings.ts";
export { clearLabels } from "./clear.ts";
export type { ClearOptions } from "./clear.ts";
export { labelPool } from "./label.ts";
export { MovedLabelError } from "./moved_label.ts";
export type { MovedLabel } from "./moved_label.ts";
export type { LabelOptions, LabelResult } from "./label.ts";
export type { ComponentLabel } from "./component_label.ts";
export type { EvacuationStatus, ResumeOptions } from "./evacuation_status.ts";
export type {
  AddOptions,
  AddResult,
  RemoveOptions,
  RemovePlan,
  RemoveResult,
} from "./membership.ts";
export { inspectComponents } from "./inspect.ts";
export type { InspectOptions } from "./inspect.ts";
export { checkComponents, openPool } from "./open.ts";
export type { PoolOptions, PoolPlaces } from "./open.ts";
export { Pool } from "./pool.ts";
export { repairComponents } from "./repair.ts";
export type { RepairReport } from "./put_aside.ts";
export type { RepairOptions } from "./repair.ts";
export type { ResizeOptions } from "./resize.ts";
export type {
  FullPolicy,
  MissingMember,
  PoolEvent,
  PoolSettings,
  Watermarks,
} from "./settings.ts";
export type { PoolCounters } from "./counters.ts";
export type { FormatName } from "./pool_format.ts";
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
export type { StatusContext, StatusRun } from "./status_contexts.ts";
export { readLabel, taste } from "./taste.ts";
export type { TastedComponent, TastedPool, TasteReport } from "./taste.ts";
