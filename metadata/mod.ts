/**
 * What is on disk: one module for each structure, no I/O.
 *
 * @module
 */

export {
  checkPage,
  CHUNK_ENTRY_OFFSET,
  CHUNK_ENTRY_SIZE,
  clearEntry,
  copyEntries,
  entryDigest,
  entrySequence,
  entryVirtualChunk,
  isOwned,
  NEVER_WRITTEN,
  pageGeneration,
  pickSlot,
  sameEntries,
  sealPage,
  setEntry,
  TABLE_PAGE_OFFSET,
  VIRTUAL_CHUNKS_MAX,
} from "./chunk_table.ts";
export {
  COMPONENT_ALLOCATED,
  COMPONENT_CURRENT,
  COMPONENT_JOINING,
  decodeFreebsdLabel,
  encodeFreebsdLabel,
  FREEBSD_COMPONENTS_MAX,
  FREEBSD_LABEL_OFFSET,
  FREEBSD_LABEL_SIZE,
  FREEBSD_NAME_LENGTH_MAX,
  FREEBSD_SECTOR_SIZES,
  freebsdChunkCount,
  freebsdLabelOffset,
  isFreebsdLabel,
  SECTOR_SIZE,
} from "./freebsd_label.ts";
export type { FreebsdLabel } from "./freebsd_label.ts";
export {
  decodeFreebsdMapEntry,
  encodeFreebsdMapEntry,
  FREEBSD_MAP_ENTRY_OFFSET,
  FREEBSD_MAP_ENTRY_SIZE,
  FREEBSD_MAP_GRAIN,
  freebsdMapSize,
  freebsdReservedChunks,
} from "./freebsd_map.ts";
export type { FreebsdMapEntry } from "./freebsd_map.ts";
export {
  isNativeChunkSize,
  NATIVE_CHUNK_SIZE,
  NATIVE_CHUNK_SIZE_MAX,
  NATIVE_CHUNK_SIZE_MIN,
  NATIVE_CHUNKS_MAX,
  NATIVE_PAGE_SIZE,
  nativeGeometry,
  SUPERBLOCK_SLOT_SIZE,
  SUPERBLOCK_SLOTS,
  superblockPosition,
  TABLE_PAGE_ENTRIES,
  TABLE_SLOTS,
  TABLE_SLOTS_SIZE,
  tableSlotPosition,
} from "./native_geometry.ts";
export type { NativeGeometry } from "./native_geometry.ts";
export { newerSuperblock } from "./newer_superblock.ts";
export type { NewerSuperblock } from "./newer_superblock.ts";
export {
  findSignatures,
  SIGNATURE_HEAD_SIZE,
  SIGNATURE_TAIL_SIZE,
} from "./signatures.ts";
export type { FileEnds, Signature } from "./signatures.ts";
export {
  decodeSuperblock,
  encodeSuperblock,
  isSuperblock,
  SUPERBLOCK_MEMBER_OFFSET,
  SUPERBLOCK_OFFSET,
  superblockWriteSize,
} from "./superblock.ts";
export type { DecodedSuperblock } from "./superblock.ts";
export {
  isNativeName,
  NATIVE_NAME_SIZE_MAX,
  SUPERBLOCK_HEADER_SIZE,
  SUPERBLOCK_MEMBER_SIZE,
  SUPERBLOCK_MEMBERS_MAX,
} from "./superblock_content.ts";
export type {
  MemberState,
  Superblock,
  SuperblockMember,
} from "./superblock_content.ts";
export { decodeUuid, encodeUuid, isUuid, NIL_UUID, UUID_SIZE } from "./uuid.ts";
