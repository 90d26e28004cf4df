/**
 * Changes of an open pool, one at a time: add, remove, resize, evacuate.
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
