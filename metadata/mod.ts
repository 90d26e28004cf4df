/**
 * The structures on disk: one module encodes and decodes each of them. This
 * layer does no I/O. `docs/format.md` describes the bytes.
 *
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import {
 *   decodeFreebsdMapEntry,
 *   encodeFreebsdMapEntry,
 *   FREEBSD_MAP_ENTRY_SIZE,
 * } from "@virstor/virstor/metadata";
 *
 * const bytes = new DataView(new ArrayBuffer(FREEBSD_MAP_ENTRY_SIZE));
 * encodeFreebsdMapEntry(1, 7, bytes);
 * const entry = decodeFreebsdMapEntry(bytes, 0);
 * assertEquals(entry, { allocated: true, component: 1, chunk: 7 });
 * ```
 *
 * @module
 */

export {
  decodeUuid,
  encodeUuid,
  findSignatures,
  SIGNATURE_HEAD_SIZE,
  SIGNATURE_TAIL_SIZE,
  UUID_SIZE,
} from "./common/mod.ts";
export type { FileEnds, Signature } from "./common/mod.ts";
export {
  COMPONENT_ALLOCATED,
  COMPONENT_CURRENT,
  COMPONENT_JOINING,
  decodeFreebsdLabel,
  decodeFreebsdMapEntry,
  encodeFreebsdLabel,
  encodeFreebsdMapEntry,
  FREEBSD_COMPONENTS_MAX,
  FREEBSD_LABEL_SIZE,
  FREEBSD_MAP_ENTRY_SIZE,
  FREEBSD_MAP_GRAIN,
  FREEBSD_NAME_LENGTH_MAX,
  FREEBSD_SECTOR_SIZES,
  freebsdChunkCount,
  freebsdLabelOffset,
  freebsdMapSize,
  freebsdReservedChunks,
  isFreebsdLabel,
  SECTOR_SIZE,
} from "./freebsd/mod.ts";
export type { FreebsdLabel, FreebsdMapEntry } from "./freebsd/mod.ts";
export {
  checkPage,
  clearEntry,
  decodeSuperblock,
  decodeVolumeRecords,
  encodeSuperblock,
  encodeVolumeRecords,
  entryBirth,
  entryDigest,
  entrySequence,
  entryVirtualChunk,
  entryVolume,
  findingInSuperblock,
  findingInVolumes,
  findingInVolumesSize,
  isNativeName,
  isOwned,
  isProvisional,
  isSuperblock,
  isVolumeName,
  NATIVE_CHUNK_SIZE,
  NATIVE_CHUNK_SIZE_MAX,
  NATIVE_CHUNK_SIZE_MIN,
  NATIVE_NAME_SIZE_MAX,
  NATIVE_PAGE_SIZE,
  nativeGeometry,
  NEVER_WRITTEN,
  newerSuperblock,
  newOverflowSize,
  OVERFLOW_SIZE_MAX,
  overflowPosition,
  pageGeneration,
  pickSlot,
  sameEntries,
  sealPage,
  setEntry,
  settleEntry,
  SUPERBLOCK_MEMBERS_MAX,
  SUPERBLOCK_SLOT_SIZE,
  SUPERBLOCK_SLOTS,
  superblockPosition,
  superblockWriteSize,
  TABLE_PAGE_ENTRIES,
  TABLE_PAGE_OFFSET,
  TABLE_SLOTS,
  TABLE_SLOTS_SIZE,
  tableSlotPosition,
  usedOverflow,
  volumeRecordsSize,
  VOLUMES_MAX,
} from "./native/mod.ts";
export type {
  DecodedSuperblock,
  EntryOwner,
  EpochRange,
  MemberState,
  NativeGeometry,
  NewerSuperblock,
  SnapshotRecord,
  Superblock,
  SuperblockMember,
  UsedOverflow,
  ViewRecord,
  VolumeFullPolicy,
  VolumeRecord,
  VolumeTable,
  VolumeTablePool,
} from "./native/mod.ts";
