/**
 * Signatures of foreign data: of file systems, partition tables, volumes, image
 * files and archives. The list has the common ones that `wipefs` knows, and
 * those of files that it does not know; docs/operations.md tables it. A signature lies at a fixed offset
 * from the start or the end. Where libblkid is available, it knows many more.
 *
 * @module
 */

import { assert } from "../../errors.ts";
import { decodeUuid } from "./uuid.ts";
import { viewOf } from "../../device/block/mod.ts";

/** Bytes at the start of a file that are searched. */
export const SIGNATURE_HEAD_SIZE = 512 * 1024;
/** Bytes at the end of a file that are searched. */
export const SIGNATURE_TAIL_SIZE: number = 768 * 1024;

/** A signature that was found. */
export interface Signature {
  /** What it is, with an article, for instance `an ext4 file system`. */
  readonly what: string;
  /** The label of the file system or volume, or "". */
  readonly label: string;
  /** The UUID of the file system or volume, or "". */
  readonly uuid: string;
}

/** The start and the end of a file. */
export interface FileEnds {
  /** Bytes of the file. */
  readonly size: number;
  /** The first {@linkcode SIGNATURE_HEAD_SIZE} bytes, or the whole file. */
  readonly head: Uint8Array;
  /** The last {@linkcode SIGNATURE_TAIL_SIZE} bytes, or the whole file. */
  readonly tail: Uint8Array;
}

/** Reads from the two ends of a file; everything between reads as zeroes. */
class Ends {
  readonly size: number;
  readonly #head: Uint8Array;
  readonly #tail: Uint8Array;

  constructor({ size, head, tail }: FileEnds) {
    assert(head.length <= size && tail.length <= size, "ends are parts");
    this.size = size;
    this.#head = head;
    this.#tail = tail;
  }

  /** Bytes that lie wholly in one of the ends; else zeroes. */
  at(offset: number, length: number): Uint8Array {
    const tailStart = this.size - this.#tail.length;
    if (offset >= 0 && offset + length <= this.#head.length) {
      return this.#head.subarray(offset, offset + length);
    }
    if (offset >= tailStart && offset + length <= this.size) {
      const start = offset - tailStart;
      return this.#tail.subarray(start, start + length);
    }
    return new Uint8Array(length);
  }

  /** Bytes as a text with one character for each. */
  text(offset: number, length: number): string {
    return String.fromCharCode(...this.at(offset, length));
  }

  u16(offset: number): number {
    return viewOf(this.at(offset, 2)).getUint16(0, true);
  }

  u32(offset: number): number {
    return viewOf(this.at(offset, 4)).getUint32(0, true);
  }

  /** UTF-8 up to the first zero byte, trimmed. */
  label(offset: number, length: number): string {
    const bytes = this.at(offset, length);
    const end = bytes.indexOf(0);
    const used = end < 0 ? bytes : bytes.subarray(0, end);
    return new TextDecoder().decode(used).trim();
  }

  uuid(offset: number): string {
    const bytes = this.at(offset, 16);
    return bytes.every((byte) => byte === 0) ? "" : decodeUuid(bytes, 0);
  }
}

/** A magic text at fixed offsets, which count from the end if below 0. */
interface Fixed {
  readonly what: string;
  readonly magic: string;
  readonly at: readonly number[];
  /** The offset and the size of the label field, bytes. */
  readonly label?: readonly [offset: number, length: number];
  /** The offset of the UUID, bytes. */
  readonly uuid?: number;
}

/** The size of a ZFS label and the offset of bcache's magic, bytes. */
const [ZFS_LABEL_SIZE, BCACHE_MAGIC_AT] = [256 * 1024, 4096 + 24];
const SWAP_AT = [4096, 8192, 16_384, 32_768, 65_536].map((page) => page - 10);
const LUKS2_COPIES_AT = [0x4000, 0x8000, 0x10000, 0x20000, 0x40000];

const FIXED: readonly Fixed[] = [
  {
    what: "an XFS file system",
    magic: "XFSB",
    at: [0],
    label: [108, 12],
    uuid: 32,
  },
  {
    what: "a Btrfs file system",
    magic: "_BHRfS_M",
    at: [65_600],
    label: [65_835, 256],
    uuid: 65_568,
  },
  { what: "an F2FS file system", magic: "\x10\x20\xf5\xf2", at: [1024] },
  { what: "an NTFS file system", magic: "NTFS    ", at: [3] },
  { what: "an exFAT file system", magic: "EXFAT   ", at: [3] },
  { what: "a FAT file system", magic: "FAT12   ", at: [54], label: [43, 11] },
  { what: "a FAT file system", magic: "FAT16   ", at: [54], label: [43, 11] },
  { what: "a FAT file system", magic: "FAT32   ", at: [82], label: [71, 11] },
  { what: "a BitLocker volume", magic: "-FVE-FS-", at: [3] },
  {
    what: "an ISO 9660 file system",
    magic: "CD001",
    at: [32_769],
    label: [32_808, 32],
  },
  { what: "a UDF file system", magic: "BEA01", at: [32_769] },
  { what: "a UDF file system", magic: "NSR0", at: [34_817, 36_865] },
  { what: "a SquashFS file system", magic: "hsqs", at: [0] },
  { what: "a SquashFS file system", magic: "sqsh", at: [0] },
  {
    what: "an EROFS file system",
    magic: "\xe2\xe1\xf5\xe0",
    at: [1024],
    uuid: 1072,
  },
  { what: "a cramfs file system", magic: "\x45\x3d\xcd\x28", at: [0] },
  { what: "a romfs file system", magic: "-rom1fs-", at: [0] },
  { what: "a ReiserFS file system", magic: "ReIsEr", at: [65_588, 8244] },
  { what: "a JFS file system", magic: "JFS1", at: [32_768], uuid: 32_904 },
  { what: "an HFS+ file system", magic: "H+\0\x04", at: [1024] },
  { what: "an HFS+ file system", magic: "HX\0\x05", at: [1024] },
  { what: "an APFS container", magic: "NXSB", at: [32], uuid: 72 },
  { what: "a UFS file system", magic: "\x19\x01\x54\x19", at: [66_908] },
  { what: "a UFS file system", magic: "\x54\x19\x01\0", at: [9564] },
  { what: "an OCFS2 file system", magic: "OCFSV2", at: [1024, 2048, 4096] },
  {
    what: "a bcache device",
    magic: "\xc6\x85\x73\xf6\x4e\x1a\x45\xca\x82\x65\xf5\x7f\x48\xba\x6d\x81",
    at: [BCACHE_MAGIC_AT],
    uuid: BCACHE_MAGIC_AT + 16,
  },
  {
    what: "a bcachefs file system",
    magic: "\xc6\x85\x73\xf6\x66\xce\x90\xa9\xd9\x6a\x60\xcf\x80\x3d\xf7\xef",
    at: [BCACHE_MAGIC_AT],
    uuid: BCACHE_MAGIC_AT + 32,
  },
  { what: "swap space", magic: "SWAPSPACE2", at: SWAP_AT },
  { what: "swap space", magic: "SWAP-SPACE", at: SWAP_AT },
  { what: "a hibernated system's memory", magic: "S1SUSPEND\0", at: SWAP_AT },
  { what: "a LUKS1 volume", magic: "LUKS\xba\xbe\0\x01", at: [0] },
  {
    what: "a LUKS2 volume",
    magic: "LUKS\xba\xbe\0\x02",
    at: [0],
    label: [24, 48],
  },
  { what: "a LUKS2 volume", magic: "SKUL\xba\xbe\0\x02", at: LUKS2_COPIES_AT },
  {
    what: "a VDO volume",
    magic: "dmvdo001",
    at: [0],
  },
  { what: "a Stratis pool", magic: "!Stra0tis\x86\xff\x02^Arh", at: [512] },
  { what: "a Ceph BlueStore device", magic: "bluestore block device", at: [0] },
  { what: "an Oracle ASM disk", magic: "ORCLDISK", at: [32] },
  { what: "a GPT partition table", magic: "EFI PART", at: [512, 4096] },
  {
    what: "a copy of a GPT partition table",
    magic: "EFI PART",
    at: [-512, -4096],
  },
  { what: "a BSD disk label", magic: "WEV\x82", at: [0, 64, 512] },
  { what: "an Apple partition map", magic: "PM\0\0", at: [512] },
  { what: "a qcow2 image", magic: "QFI\xfb", at: [0] },
  { what: "a QED image", magic: "QED\0", at: [0] },
  { what: "a VMDK image", magic: "KDMV", at: [0] },
  { what: "a VMDK image", magic: "COWD", at: [0] },
  { what: "a VMDK image", magic: "# Disk DescriptorFile", at: [0] },
  { what: "a VHD image", magic: "conectix", at: [0, -512] },
  { what: "a VHDX image", magic: "vhdxfile", at: [0] },
  { what: "a VDI image", magic: "\x7f\x10\xda\xbe", at: [64] },
  { what: "a Parallels image", magic: "WithoutFreeSpace", at: [0] },
  { what: "a Parallels image", magic: "WithouFreSpacExt", at: [0] },
  { what: "an Apple disk image", magic: "koly", at: [-512] },
  { what: "a sparse Android image", magic: "\x3a\xff\x26\xed", at: [0] },
  { what: "a partclone image", magic: "partclone-image", at: [0] },
  { what: "a tar archive", magic: "ustar", at: [257] },
  { what: "a cpio archive", magic: "07070", at: [0] },
  { what: "a zip archive", magic: "PK\x03\x04", at: [0] },
  { what: "a 7z archive", magic: "7z\xbc\xaf\x27\x1c", at: [0] },
  { what: "a gzip file", magic: "\x1f\x8b\x08", at: [0] },
  { what: "a bzip2 file", magic: "1AY&SY", at: [4] },
  { what: "an xz file", magic: "\xfd7zXZ\0", at: [0] },
  { what: "a Zstandard file", magic: "\x28\xb5\x2f\xfd", at: [0] },
  { what: "a SQLite database", magic: "SQLite format 3\0", at: [0] },
  { what: "a program", magic: "\x7fELF", at: [0] },
];

/**
 * Finds the signatures in a file.
 *
 * @param ends The start and the end of the file.
 * @returns The signatures, each kind once.
 */
export function findSignatures(ends: FileEnds): Signature[] {
  const read = new Ends(ends);
  const found = [
    extFinding(read),
    ...FIXED.map((one) => fixedFinding(read, one)),
    lvmFinding(read),
    raidFinding(read),
    zfsFinding(read),
    geomFinding(read),
    mbrFinding(read),
  ].filter((one) => one !== undefined);
  return found.filter((one, index) =>
    found.findIndex(({ what }) => what === one.what) === index
  );
}

function signature(what: string, label = "", uuid = ""): Signature {
  return { what, label, uuid };
}

function fixedFinding(read: Ends, one: Fixed): Signature | undefined {
  const { magic, label, uuid } = one;
  const end = sectorsEnd(read);
  const isThere = one.at.some((at) =>
    read.text(at < 0 ? end + at : at, magic.length) === magic
  );
  if (!isThere) return undefined;
  return signature(
    one.what,
    label === undefined ? "" : read.label(...label),
    uuid === undefined ? "" : read.uuid(uuid),
  );
}

/** The end of the last whole sector of 512 bytes. */
function sectorsEnd({ size }: Ends): number {
  return Math.floor(size / 512) * 512;
}

/** Two bytes of magic prove little, so other fields must be plausible, too. */
function extFinding(read: Ends): Signature | undefined {
  const start = 1024;
  const makesSense = read.u16(start + 56) === 0xef53 &&
    read.u32(start) > 0 && read.u32(start + 4) > 0 &&
    read.u32(start + 24) <= 6 && read.u32(start + 76) <= 1;
  if (!makesSense) return undefined;
  const [compat, incompat] = [read.u32(start + 92), read.u32(start + 96)];
  const isJournal = (incompat & 0x8) !== 0;
  // Of the incompatible features, ext3 lacks extents, 64 bits and flex_bg.
  const isExt4 = (incompat & 0x2c0) !== 0;
  const name = isExt4 ? "ext4" : (compat & 0x4) !== 0 ? "ext3" : "ext2";
  return signature(
    isJournal ? "an ext4 journal" : `an ${name} file system`,
    read.label(start + 120, 16),
    read.uuid(start + 104),
  );
}

/** LVM's label lies in one of the first four sectors. */
function lvmFinding(read: Ends): Signature | undefined {
  const isThere = [0, 512, 1024, 1536].some((at) =>
    read.text(at, 8) === "LABELONE" && read.text(at + 24, 8) === "LVM2 001"
  );
  return isThere ? signature("an LVM2 physical volume") : undefined;
}

/** Linux software RAID: its superblock lies at 0, at 4 KiB or near the end. */
function raidFinding(read: Ends): Signature | undefined {
  const sectors = Math.floor(read.size / 512);
  const nearEnd = ((sectors - 16) - (sectors - 16) % 8) * 512;
  const at = [0, 4096, nearEnd].find((start) =>
    read.u32(start) === 0xa92b4efc && read.u32(start + 4) === 1
  );
  const old = Math.floor(read.size / 65_536) * 65_536 - 65_536;
  const isOld = read.u32(old) === 0xa92b4efc ||
    read.text(old, 4) === "\xa9\x2b\x4e\xfc";
  if (at === undefined && !isOld) return undefined;
  return signature(
    "a Linux RAID member",
    at === undefined ? "" : read.label(at + 32, 32),
    at === undefined ? "" : read.uuid(at + 16),
  );
}

/** ZFS has four labels, each with a ring of uberblocks in its second half. */
function zfsFinding(read: Ends): Signature | undefined {
  const end = Math.floor(read.size / ZFS_LABEL_SIZE) * ZFS_LABEL_SIZE;
  for (
    const label of [
      0,
      ZFS_LABEL_SIZE,
      end - 2 * ZFS_LABEL_SIZE,
      end - ZFS_LABEL_SIZE,
    ]
  ) {
    for (let at = ZFS_LABEL_SIZE / 2; at < ZFS_LABEL_SIZE; at += 1024) {
      const magic = read.text(label + at, 8);
      const isThere = magic === "\x0c\xb1\xba\0\0\0\0\0" ||
        magic === "\0\0\0\0\0\xba\xb1\x0c";
      if (isThere) return signature("a member of a ZFS pool");
    }
  }
  return undefined;
}

/** FreeBSD's GEOM classes store their metadata in the last sector. */
function geomFinding(read: Ends): Signature | undefined {
  const sectorSizes = [512, 4096];
  for (const size of sectorSizes) {
    const start = Math.floor(read.size / size) * size - size;
    const [name] = /^GEOM::[A-Z0-9_]+/.exec(read.text(start, 16)) ?? [];
    if (name !== undefined) return signature(`metadata of FreeBSD's ${name}`);
  }
  return undefined;
}

/** Boot sectors of file systems end like an MBR, so entries are checked too. */
function mbrFinding(read: Ends): Signature | undefined {
  if (read.u16(510) !== 0xaa55) return undefined;
  const entries = [446, 462, 478, 494].map((at) => ({
    flag: read.at(at, 1)[0] ?? 0,
    type: read.at(at + 4, 1)[0] ?? 0,
    sectors: read.u32(at + 12),
  }));
  const makesSense = entries.every(({ flag }) => (flag & 0x7f) === 0) &&
    entries.some(({ type, sectors }) => type !== 0 && sectors !== 0);
  return makesSense ? signature("an MBR partition table") : undefined;
}
