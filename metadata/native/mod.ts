/**
 * Format 2, the native format: superblock, chunk table and geometry.
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
} from "./geometry.ts";
export type { NativeGeometry } from "./geometry.ts";
export { newerSuperblock } from "./newer_superblock.ts";
export type { NewerSuperblock } from "./newer_superblock.ts";
export {
  decodeSuperblock,
  encodeSuperblock,
  isSuperblock,
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
export {
  SUPERBLOCK_MEMBER_OFFSET,
  SUPERBLOCK_OFFSET,
} from "./superblock_layout.ts";
