/**
 * Goal: what may still be needed is known by its signature, and nothing else is
 * taken for it. Method: the signatures as others document them, written into
 * blank files at their places; and random bytes.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import {
  findSignatures,
  SIGNATURE_HEAD_SIZE,
  SIGNATURE_TAIL_SIZE,
} from "../../../metadata/mod.ts";
import { KIB, MIB, pattern } from "../../helpers/scratch.ts";

/** The size of the files: no multiple of anything but sectors. */
const SIZE = 8 * MIB + 3 * 512;

/** Bytes to write, and where; below 0 from the end. */
type Place = readonly [offset: number, bytes: string];

const EXT: readonly Place[] = [
  [1024, "\0\x10\0\0\0\x40\0\0"],
  [1024 + 24, "\x02"],
  [1024 + 56, "\x53\xef"],
  [1024 + 76, "\x01"],
];

const KNOWN: Record<string, readonly Place[]> = {
  "an ext2 file system": EXT,
  "an ext3 file system": [...EXT, [1024 + 92, "\x04"]],
  "an ext4 file system": [...EXT, [1024 + 92, "\x04"], [1024 + 96, "\xc2\x02"]],
  "an ext4 journal": [...EXT, [1024 + 96, "\x08"]],
  "an XFS file system": [[0, "XFSB"]],
  "a Btrfs file system": [[64 * KIB + 64, "_BHRfS_M"]],
  "an F2FS file system": [[1024, "\x10\x20\xf5\xf2"]],
  "an NTFS file system": [[3, "NTFS    "]],
  "an exFAT file system": [[3, "EXFAT   "]],
  "a FAT file system": [[82, "FAT32   "]],
  "an ISO 9660 file system": [[32 * KIB + 1, "CD001"]],
  "a SquashFS file system": [[0, "hsqs"]],
  "an EROFS file system": [[1024, "\xe2\xe1\xf5\xe0"]],
  "swap space": [[4096 - 10, "SWAPSPACE2"]],
  "a LUKS1 volume": [[0, "LUKS\xba\xbe\0\x01"]],
  "a LUKS2 volume": [[0, "LUKS\xba\xbe\0\x02"]],
  "an LVM2 physical volume": [[512, "LABELONE"], [512 + 24, "LVM2 001"]],
  "a Linux RAID member": [[4096, "\xfc\x4e\x2b\xa9\x01"]],
  "a member of a ZFS pool": [[128 * KIB + 4096, "\x0c\xb1\xba\0\0\0\0\0"]],
  "a bcache device": [[
    4096 + 24,
    "\xc6\x85\x73\xf6\x4e\x1a\x45\xca\x82\x65\xf5\x7f\x48\xba\x6d\x81",
  ]],
  "a GPT partition table": [[512, "EFI PART"]],
  "a copy of a GPT partition table": [[-512, "EFI PART"]],
  "an MBR partition table": [
    [446, "\x80\0\0\0\x83\0\0\0\0\x08\0\0\0\x10\0\0"],
    [510, "\x55\xaa"],
  ],
  "a qcow2 image": [[0, "QFI\xfb"]],
  "a tar archive": [[257, "ustar\0"]],
  "a cpio archive": [[0, "070701"]],
  "a zip archive": [[0, "PK\x03\x04"]],
  "a gzip file": [[0, "\x1f\x8b\x08"]],
  "a bzip2 file": [[0, "BZh91AY&SY"]],
  "an xz file": [[0, "\xfd7zXZ\0"]],
  "a Zstandard file": [[0, "\x28\xb5\x2f\xfd"]],
  "a SQLite database": [[0, "SQLite format 3\0"]],
  "a program": [[0, "\x7fELF"]],
  "a VMDK image": [[0, "KDMV"]],
  "a VHD image": [[-512, "conectix"]],
  "a VHDX image": [[0, "vhdxfile"]],
  "a VDI image": [[64, "\x7f\x10\xda\xbe"]],
  "metadata of FreeBSD's GEOM::MIRROR": [[-512, "GEOM::MIRROR\0\0\0\0"]],
};

/** Where else some of them are. */
const ELSEWHERE: readonly (readonly [string, readonly Place[]])[] = [
  ["swap space", [[65_536 - 10, "SWAPSPACE2"]]],
  ["a LUKS2 volume", [[0x4000, "SKUL\xba\xbe\0\x02"]]],
  ["a Linux RAID member", [[0, "\xfc\x4e\x2b\xa9\x01"]]],
  // Version 1.0: 8 KiB before the end, to whole 4 KiB.
  ["a Linux RAID member", [[8 * MIB - 8 * KIB, "\xfc\x4e\x2b\xa9\x01"]]],
  // Version 0.90: the last whole 64 KiB.
  ["a Linux RAID member", [[8 * MIB - 64 * KIB, "\xfc\x4e\x2b\xa9\0"]]],
  ["a Linux RAID member", [[8 * MIB - 64 * KIB, "\xa9\x2b\x4e\xfc\0"]]],
  ["a member of a ZFS pool", [[
    8 * MIB - 128 * KIB,
    "\0\0\0\0\0\xba\xb1\x0c",
  ]]],
  ["a member of a ZFS pool", [[
    8 * MIB - 384 * KIB,
    "\0\0\0\0\0\xba\xb1\x0c",
  ]]],
  ["a GPT partition table", [[4096, "EFI PART"]]],
  ["a FAT file system", [[54, "FAT12   "]]],
  ["metadata of FreeBSD's GEOM::ELI", [[
    8 * MIB - 4096,
    "GEOM::ELI\0\0\0\0\0\0\0",
  ]]],
];

function fileWith(places: readonly Place[], size = SIZE): Uint8Array {
  const file = new Uint8Array(size);
  for (const [offset, bytes] of places) {
    const start = offset < 0 ? size + offset : offset;
    file.set([...bytes].map((one) => one.charCodeAt(0)), start);
  }
  return file;
}

function namesIn(file: Uint8Array): string[] {
  const size = file.length;
  const head = file.subarray(0, Math.min(size, SIGNATURE_HEAD_SIZE));
  const tail = file.subarray(Math.max(0, size - SIGNATURE_TAIL_SIZE));
  return findSignatures({ size, head, tail }).map(({ what }) => what);
}

for (const [what, places] of [...Object.entries(KNOWN), ...ELSEWHERE]) {
  const [[at] = []] = places;
  Deno.test(`findSignatures() knows ${what} (byte ${at})`, () => {
    assertEquals(namesIn(fileWith(places)), [what]);
  });
}

Deno.test("findSignatures() tells names and UUIDs", () => {
  const uuid =
    "\x01\x23\x45\x67\x89\xab\xcd\xef\x01\x23\x45\x67\x89\xab\xcd\xef";
  const file = fileWith([
    ...EXT,
    [1024 + 104, uuid],
    [1024 + 120, "home\0\0garbage"],
  ]);
  const ends = { size: SIZE, head: file.subarray(0, SIGNATURE_HEAD_SIZE) };
  assertEquals(findSignatures({ ...ends, tail: new Uint8Array(0) }), [{
    what: "an ext2 file system",
    label: "home",
    uuid: "01234567-89ab-cdef-0123-456789abcdef",
  }]);
});

Deno.test("findSignatures() finds several, and each kind once", () => {
  const places = [
    ...KNOWN["an MBR partition table"] ?? [],
    ...KNOWN["a GPT partition table"] ?? [],
    ...KNOWN["a copy of a GPT partition table"] ?? [],
    [4096, "EFI PART"] as const,
  ];
  assertEquals(namesIn(fileWith(places)).toSorted(), [
    "a GPT partition table",
    "a copy of a GPT partition table",
    "an MBR partition table",
  ]);
});

Deno.test("findSignatures() takes nothing else for a signature", () => {
  for (const size of [0, 1, 511, 512, 4096, 65_536, MIB, SIZE]) {
    assertEquals(namesIn(new Uint8Array(size)), []);
    assertEquals(namesIn(new Uint8Array(size).fill(0xff)), []);
    for (let seed = 1; seed <= 20; seed++) {
      assertEquals(namesIn(pattern(size, seed)), [], `${size}, ${seed}`);
    }
  }
});
