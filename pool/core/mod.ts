/**
 * The base of the pool layer: components, the forward map, settings, health,
 * counters.
 *
 * @module
 */

export type { ChunkMove } from "./chunk_move.ts";
export { chunkRanges } from "./chunk_ranges.ts";
export type { ChunkOwner, ChunkView } from "./chunk_view.ts";
export { readBootId } from "./boot_id.ts";
export { Component } from "./component.ts";
export type { ComponentGeometry } from "./component.ts";
export {
  applied,
  caughtUp,
  finished,
  identityAt,
  openFileDevice,
} from "./component_device.ts";
export type {
  Blanks,
  ChunkDevice,
  ComponentDevice,
  FarAnswers,
  OpenDevice,
  OpenDeviceOptions,
  OpenPatience,
  WaitingChanges,
} from "./component_device.ts";
export type { RemoteStatus } from "./remote_status.ts";
export { copyChunk, endsBefore } from "./copy_chunk.ts";
export { newCounters } from "./counters.ts";
export type { PoolCounters } from "./counters.ts";
export { EventHub, EVENTS_WAITING_MAX } from "./event_hub.ts";
export type {
  MissedEvents,
  PoolEvent,
  PoolEventData,
  PoolEventKind,
  RecoveryStep,
  RemoteChange,
} from "./events.ts";
export type { Finding, FindingKind, Severity } from "./findings.ts";
export { failedPool, unreadableMetadata } from "./findings.ts";
export { flushAll } from "./flush_all.ts";
export { ForwardMap } from "./forward_map.ts";
export { Health } from "./health.ts";
export { HostSpaces, hostWarnings } from "./host_space.ts";
export {
  hostStatuses,
  passedHostMarks,
  promiseWarnings,
} from "./host_status.ts";
export type { HostStatus } from "./host_status.ts";
export { inDoubt } from "./in_doubt.ts";
export { InFlight } from "./in_flight.ts";
export { mappedChunks } from "./mapped_chunks.ts";
export type { MovingChunks } from "./moving_chunks.ts";
export type { OldVersion } from "./old_versions.ts";
export { OwnerBusyError, withPatience } from "./patience.ts";
export { assertInside, VIRTUAL_SIZE_MAX } from "./range.ts";
export { checkedFullTimeout } from "./settings.ts";
export type {
  FullPolicy,
  MissingMember,
  PoolSettings,
  SpaceMark,
  SpaceSettings,
  Watermarks,
} from "./settings.ts";
export {
  pause,
  PIECE_BYTES,
  PIECE_STEP_BYTES,
  turn,
  TURN_BUDGET,
} from "./turn.ts";
export { clonesOfVolume, recordById, snapshotByName } from "./record_index.ts";
export { firstFrom, takeUnseen, unseenVersions } from "./unseen_versions.ts";
export { CertainView, SnapshotView } from "./views.ts";
export { STOP_SECONDS, StopPatience } from "./stop_patience.ts";
export {
  connectVolumes,
  firstVolume,
  isPlainVolume,
  newestSnapshot,
  newVolume,
} from "./volume_state.ts";
export type { VolumeState } from "./volume_state.ts";
export { chunkMark, nextMinimum, passedMarks } from "./watermarks.ts";
export type { PassedMark } from "./watermarks.ts";
