/**
 * Where the fields of a superblock lie. docs/format.md has the same table, and a
 * test compares them.
 *
 * @module
 */

/** Where each field starts, bytes from the start of its slot. */
export const SUPERBLOCK_OFFSET: Readonly<
  Record<
    | "magic"
    | "checksum"
    | "usedSize"
    | "position"
    | "generation"
    | "version"
    | "compat"
    | "readOnlyCompat"
    | "incompat"
    | "poolUuid"
    | "componentUuid"
    | "virtualSize"
    | "chunkSize"
    | "componentSize"
    | "tableOffset"
    | "chunkCount"
    | "tablePages"
    | "memberCount"
    | "nameSize"
    | "clean"
    | "tableDigest"
    | "volumesSize"
    | "name"
    | "bootId"
    | "overflowSize",
    number
  >
> = {
  magic: 0,
  checksum: 16,
  usedSize: 20,
  position: 24,
  generation: 32,
  version: 40,
  compat: 44,
  readOnlyCompat: 48,
  incompat: 52,
  poolUuid: 56,
  componentUuid: 72,
  virtualSize: 88,
  chunkSize: 96,
  componentSize: 104,
  tableOffset: 112,
  chunkCount: 120,
  tablePages: 124,
  memberCount: 128,
  nameSize: 130,
  clean: 132,
  tableDigest: 136,
  volumesSize: 140,
  name: 144,
  bootId: 400,
  overflowSize: 416,
};
/** Where each field of a member starts, bytes from its start. */
export const SUPERBLOCK_MEMBER_OFFSET: Readonly<
  Record<"uuid" | "state" | "chunkCount", number>
> = { uuid: 0, state: 16, chunkCount: 20 };
