/**
 * A second implementation of format 2, from its tables, for tests only. It
 * imports nothing from `metadata/`, so that a bug there does not hide itself.
 *
 * @module
 */

/** Bytes of a superblock slot. */
export const SLOT_BYTES = 65_536;
/** Bytes of a page of the chunk table. */
export const PAGE_BYTES = 4096;

/** A field: where it starts, and its type as the tables have it. */
export type RawField = readonly [offset: number, type: string];

/** The header of a superblock. */
export const SUPERBLOCK_TABLE: Readonly<Record<string, RawField>> = {
  magic: [0, "char[16]"],
  checksum: [16, "u32"],
  usedSize: [20, "u32"],
  position: [24, "u64"],
  generation: [32, "u64"],
  version: [40, "u32"],
  compat: [44, "u32"],
  readOnlyCompat: [48, "u32"],
  incompat: [52, "u32"],
  poolUuid: [56, "u8[16]"],
  componentUuid: [72, "u8[16]"],
  virtualSize: [88, "u64"],
  chunkSize: [96, "u64"],
  componentSize: [104, "u64"],
  tableOffset: [112, "u64"],
  chunkCount: [120, "u32"],
  tablePages: [124, "u32"],
  memberCount: [128, "u16"],
  nameSize: [130, "u16"],
  clean: [132, "u8"],
  reserved133: [133, "u8[3]"],
  tableDigest: [136, "u32"],
  volumesSize: [140, "u32"],
  name: [144, "char[256]"],
  bootId: [400, "u8[16]"],
  overflowSize: [416, "u32"],
  reserved420: [420, "u8[92]"],
};
/** A member, 32 bytes from byte 512 on. */
export const MEMBER_TABLE: Readonly<Record<string, RawField>> = {
  uuid: [0, "u8[16]"],
  state: [16, "u8"],
  reserved17: [17, "u8[3]"],
  chunkCount: [20, "u32"],
  reserved24: [24, "u8[8]"],
};
/** A volume, anywhere behind the members. */
export const VOLUME_TABLE: Readonly<Record<string, RawField>> = {
  id: [0, "u16"],
  flags: [2, "u8"],
  onFull: [3, "u8"],
  epoch: [4, "u32"],
  size: [8, "u64"],
  created: [16, "u64"],
  quota: [24, "u64"],
  reserve: [32, "u64"],
  parentEpoch: [40, "u32"],
  parentVolume: [44, "u16"],
  nameSize: [46, "u16"],
  snapshotCount: [48, "u32"],
  deadCount: [52, "u32"],
};
/** A snapshot, behind the name of its volume. */
export const SNAPSHOT_TABLE: Readonly<Record<string, RawField>> = {
  epoch: [0, "u32"],
  nameSize: [4, "u16"],
  reserved6: [6, "u16"],
  size: [8, "u64"],
  created: [16, "u64"],
};
/** A dead range, behind the snapshots of its volume. */
export const DEAD_TABLE: Readonly<Record<string, RawField>> = {
  first: [0, "u32"],
  last: [4, "u32"],
};
/** A page of the chunk table. */
export const PAGE_TABLE: Readonly<Record<string, RawField>> = {
  magic: [0, "u32"],
  checksum: [4, "u32"],
  generation: [8, "u64"],
  position: [16, "u64"],
  pageIndex: [24, "u32"],
  reserved28: [28, "u32"],
  componentUuid: [32, "u8[16]"],
  entries: [48, "u8[4032]"],
  reserved4080: [4080, "u8[16]"],
};
/** An entry, 24 bytes from byte 48 of a page on. */
export const ENTRY_TABLE: Readonly<Record<string, RawField>> = {
  sequence: [0, "u64"],
  virtualChunk: [8, "u48"],
  volume: [14, "u16"],
  birthEpoch: [16, "u32"],
  flags: [20, "u32"],
};

/** Values by field: numbers little-endian, texts padded with zeroes. */
export type RawValues = Readonly<
  Record<string, bigint | number | string | Uint8Array>
>;

/**
 * The bytes of a type.
 *
 * @param type As the tables have it.
 * @returns How many it takes.
 */
export function sizeOfType(type: string): number {
  const [, text, bits] = /^(?:(?:char|u8)\[(\d+)\]|u(\d+))$/.exec(type) ?? [];
  return text === undefined ? Number(bits) / 8 : Number(text);
}

/**
 * Writes fields; the others stay as they are.
 *
 * @param bytes Where to.
 * @param table Which fields there are.
 * @param values What to write.
 * @param start Where the structure starts.
 */
export function putRaw(
  bytes: Uint8Array,
  table: Readonly<Record<string, RawField>>,
  values: RawValues,
  start = 0,
): void {
  for (const [name, value] of Object.entries(values)) {
    const field = table[name];
    if (field === undefined) throw new Error(`there is no field ${name}`);
    const size = sizeOfType(field[1]);
    const target = bytes.subarray(start + field[0], start + field[0] + size);
    if (value instanceof Uint8Array) {
      target.set(value);
    } else if (typeof value === "string") {
      target.fill(0);
      target.set(new TextEncoder().encode(value));
    } else {
      let rest = BigInt(value);
      for (let i = 0; i < Math.min(size, 8); i++) {
        target[i] = Number(rest & 0xffn);
        rest >>= 8n;
      }
    }
  }
}

/**
 * CRC-32 (that of Ethernet, zip and PNG), bit by bit.
 *
 * @param bytes All that it covers.
 * @returns The checksum, u32.
 */
export function slowCrc32(bytes: Uint8Array): number {
  let crc = 0xffff_ffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) {
      crc = (crc >>> 1) ^ (crc & 1 ? 0xedb8_8320 : 0);
    }
  }
  return ~crc >>> 0;
}

/**
 * Gives a superblock the checksum that its bytes ask for.
 *
 * @param slot Its slot.
 * @param usedSize What it covers.
 */
export function sealRawSuperblock(slot: Uint8Array, usedSize: number): void {
  putRaw(slot, SUPERBLOCK_TABLE, { checksum: 0 });
  const checksum = slowCrc32(slot.subarray(0, usedSize));
  putRaw(slot, SUPERBLOCK_TABLE, { checksum });
}

/**
 * Gives a page the checksum that its bytes ask for.
 *
 * @param page Its 4096 bytes.
 */
export function sealRawPage(page: Uint8Array): void {
  putRaw(page, PAGE_TABLE, { checksum: 0 });
  putRaw(page, PAGE_TABLE, { checksum: slowCrc32(page) });
}

/**
 * A copy with one bit turned.
 *
 * @param bytes What to copy.
 * @param bit Which one, from the lowest of byte 0.
 * @returns The copy.
 */
export function withFlippedBit(bytes: Uint8Array, bit: number): Uint8Array {
  const copy = bytes.slice();
  copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ (1 << (bit & 7));
  return copy;
}
