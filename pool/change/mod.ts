/**
 * The one queue of changes: add, remove, resize, evacuate.
 *
 * @module
 */

export { PoolControl } from "./control.ts";
export type { EvacuationStatus, ResumeOptions } from "./evacuation_status.ts";
export { planRemoval } from "./membership.ts";
export type {
  AddOptions,
  AddResult,
  RemoveOptions,
  RemovePlan,
  RemoveResult,
} from "./membership.ts";
export type { ResizeOptions } from "./resize.ts";
