/**
 * Components before they are part of an open pool: labels, candidates, and the
 * assembly of a pool from the components that were found.
 *
 * @module
 */

export { assemble, closeOthers, missingError } from "./assemble.ts";
export type { AssembleOptions, Assembly } from "./assemble.ts";
export { closeAll, forEachAtOnce } from "./at_once.ts";
export { openCandidates } from "./candidates.ts";
export type { Candidate, FutureComponent } from "./candidates.ts";
export {
  labelSectorSize,
  poolIdOf,
  readComponentLabel,
  readDeviceLabel,
  readLabelAtEnd,
  wipeDeviceLabels,
  writeDeviceLabel,
} from "./component_label.ts";
export type { ComponentLabel } from "./component_label.ts";
export { freebsdLayout, nativeLayout } from "./component_layout.ts";
export type { ComponentLayout } from "./component_layout.ts";
export { planMembers } from "./freebsd_members.ts";
export type { MemberPlan } from "./freebsd_members.ts";
export { findMovedLabelLater, MovedLabelError } from "./moved_label.ts";
export type { Effort, MovedLabel } from "./moved_label.ts";
export { planNativeMembers, truthAmong } from "./native_members.ts";
export type { NativePlan } from "./native_members.ts";
export {
  hasSuperblock,
  readOlderSuperblock,
  readSuperblock,
  writeFirstSuperblock,
  writeSuperblock,
} from "./native_superblock.ts";
export { checkCount, prepareNewComponent } from "./new_component.ts";
export { refuseWriters } from "./occupied.ts";
export { byPool, ofPool } from "./of_pool.ts";
export type { OpenComponent } from "./open_component.ts";
export {
  claimed,
  keepTable,
  labelledDevice,
  openWithLabels,
} from "./open_member.ts";
export { placesOf } from "./places.ts";
export { allocateAll, promiseNotices } from "./promises.ts";
