/**
 * Thin-provisioned pools: made with {@linkcode labelPool}, opened with
 * {@linkcode openPool}, used as a block device.
 *
 * @module
 */

export type { ComponentDevice, OpenDevice } from "./component.ts";
export type { Finding, FindingKind, Severity } from "./findings.ts";
export { clearLabels, labelPool } from "./label.ts";
export type { LabelOptions, LabelResult } from "./label.ts";
export type { ComponentLabel } from "./component_label.ts";
export type { EvacuationStatus, ResumeOptions } from "./evacuation.ts";
export type {
  AddOptions,
  AddResult,
  RemoveOptions,
  RemovePlan,
  RemoveResult,
} from "./membership.ts";
export { checkComponents, inspectComponents, openPool } from "./open.ts";
export type { PoolOptions } from "./open.ts";
export { Pool } from "./pool.ts";
export { repairComponents } from "./repair.ts";
export type { RepairOptions, RepairReport } from "./repair.ts";
export type { ResizeOptions } from "./resize.ts";
export type {
  FullPolicy,
  MissingMember,
  PoolEvent,
  PoolSettings,
} from "./settings.ts";
export type { FormatName } from "./pool_format.ts";
export type {
  ComponentStatus,
  DelayedStatus,
  PoolCounters,
  PoolStatus,
} from "./status.ts";
export { readLabel, taste } from "./taste.ts";
export type { TastedComponent, TastedPool, TasteReport } from "./taste.ts";
export type { Watermarks } from "./watermarks.ts";
