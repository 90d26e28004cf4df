/**
 * Format 2, the native format: superblock, chunk table and geometry.
 *
 * @module
 */

export {
  clearEntry,
  entryBirth,
  entryDigest,
  entrySequence,
  entryVirtualChunk,
  entryVolume,
  isOwned,
  isProvisional,
  setEntry,
  settleEntry,
  VIRTUAL_CHUNKS_MAX,
  VOLUMES_MAX,
} from "./chunk_entry.ts";
export type { EntryOwner } from "./chunk_entry.ts";
export {
  CHUNK_ENTRY_OFFSET,
  CHUNK_ENTRY_SIZE,
  TABLE_PAGE_OFFSET,
} from "./chunk_layout.ts";
export {
  checkPage,
  copyEntries,
  NEVER_WRITTEN,
  pageGeneration,
  pickSlot,
  sameEntries,
  sealPage,
} from "./chunk_table.ts";
export {
  isNativeChunkSize,
  isOverflowSize,
  NATIVE_CHUNK_SIZE,
  NATIVE_CHUNK_SIZE_MAX,
  NATIVE_CHUNK_SIZE_MIN,
  NATIVE_CHUNKS_MAX,
  NATIVE_PAGE_SIZE,
  nativeGeometry,
  newOverflowSize,
  OVERFLOW_SIZE_MAX,
  overflowPosition,
  SUPERBLOCK_SLOT_SIZE,
  SUPERBLOCK_SLOTS,
  superblockPosition,
  TABLE_PAGE_ENTRIES,
  TABLE_SLOTS,
  TABLE_SLOTS_SIZE,
  tableSlotPosition,
} from "./geometry.ts";
export type { NativeGeometry } from "./geometry.ts";
export {
  isNativeName,
  isVolumeName,
  NATIVE_NAME_SIZE_MAX,
} from "./native_name.ts";
export { newerSuperblock } from "./newer_superblock.ts";
export type { NewerSuperblock } from "./newer_superblock.ts";
export {
  decodeSuperblock,
  encodeSuperblock,
  isSuperblock,
  superblockWriteSize,
} from "./superblock.ts";
export type { DecodedSuperblock } from "./superblock.ts";
export { usedOverflow } from "./superblock_overflow.ts";
export type { UsedOverflow } from "./superblock_overflow.ts";
export {
  findingInSuperblock,
  findingInVolumesSize,
  SUPERBLOCK_HEADER_SIZE,
  SUPERBLOCK_MEMBER_SIZE,
  SUPERBLOCK_MEMBERS_MAX,
} from "./superblock_content.ts";
export type {
  MemberState,
  Superblock,
  SuperblockMember,
} from "./superblock_content.ts";
export {
  SUPERBLOCK_MEMBER_OFFSET,
  SUPERBLOCK_OFFSET,
} from "./superblock_layout.ts";
export {
  DEAD_RANGE_OFFSET,
  DEAD_RANGE_SIZE,
  decodeVolumeRecords,
  encodeVolumeRecords,
  SNAPSHOT_RECORD_OFFSET,
  SNAPSHOT_RECORD_SIZE,
  VOLUME_RECORD_OFFSET,
  VOLUME_RECORD_SIZE,
  volumeRecordsSize,
} from "./volume_records.ts";
export { findingInVolumes } from "./volume_table.ts";
export type {
  EpochRange,
  SnapshotRecord,
  ViewRecord,
  VolumeFullPolicy,
  VolumeRecord,
  VolumeTable,
  VolumeTablePool,
} from "./volume_table.ts";
