/**
 * Occupied files: what a file that is to become a component holds, and what
 * else uses it. Data that may still be needed are never overwritten unasked.
 *
 * @module
 */

import { type BlkidFinding, probeWithBlkid } from "../../device/linux/mod.ts";
import { FileInUseError, findFileUses } from "../../device/file/mod.ts";
import { VirstorError } from "../../errors.ts";
import {
  findSignatures,
  type Signature,
  SIGNATURE_HEAD_SIZE,
  SIGNATURE_TAIL_SIZE,
} from "../../metadata/common/mod.ts";
import type { ComponentDevice } from "../core/mod.ts";

/** Error messages name this many findings, and count the rest. */
const FINDINGS_SHOWN = 3;

/**
 * Refuses a component that may have another writer: a process that has it open
 * for writing, a mount, swap, or a loop device. Opening the device has already
 * refused the writers that the kernel reports at once. This function searches
 * further where the kernel did not say.
 *
 * @param device The component, open and locked exclusively.
 * @throws {VirstorError} `busy`, naming the user of the file.
 */
export async function refuseWriters(device: ComponentDevice): Promise<void> {
  const { openElsewhere: elsewhere = "no" } = device;
  if (elsewhere === "unknown" || elsewhere === "locked") {
    await refuseUses(device, true);
  }
}

/**
 * Refuses a component that has another user, also one that only reads: its
 * contents are about to be overwritten.
 *
 * @param device The component, open and locked exclusively.
 * @param force Accept processes that only read.
 * @throws {VirstorError} `busy`, naming the user of the file.
 */
export async function refuseUsers(
  device: ComponentDevice,
  force: boolean,
): Promise<void> {
  const { openElsewhere: elsewhere = "no", path, identity } = device;
  if (elsewhere === "no") return;
  await refuseUses(device, force);
  if ((elsewhere === "reading" || elsewhere === "locked") && !force) {
    throw new FileInUseError(path, identity, "reading");
  }
}

async function refuseUses(
  { path, identity }: ComponentDevice,
  mayRead: boolean,
): Promise<void> {
  const uses = await findFileUses(identity);
  const isRefused = uses.find(({ by, writes }) => by === "kernel" || writes) ??
    (mayRead ? undefined : uses[0]);
  if (isRefused === undefined) return;
  const { by, writes, text } = isRefused;
  const force = by === "process" && !writes ? ", or use -f" : "";
  throw new VirstorError(
    "busy",
    `Cannot use "${path}": it is ${text}${force}`,
  );
}

/**
 * Refuses a component that holds a signature known to `wipefs`, or a disk
 * image.
 *
 * @param device The open component.
 * @throws {VirstorError} `exists`, naming what was found; `io`.
 */
export async function refuseSignatures(
  device: ComponentDevice,
): Promise<void> {
  const descriptor = device.lend?.()?.descriptor;
  const known = descriptor === undefined
    ? undefined
    : await probeWithBlkid(descriptor);
  const found = merge(
    (known ?? []).map(signatureOf),
    await readSignatures(device),
  );
  if (found.length === 0) return;
  const shown = found.slice(0, FINDINGS_SHOWN).map(textOf);
  const more = found.length - shown.length;
  throw new VirstorError(
    "exists",
    `Cannot use "${device.path}": it holds ${shown.join(" and ")}` +
      `${more > 0 ? ` and ${more} more` : ""}, -f overwrites it`,
  );
}

/** Joins both lists, each kind once: libblkid's wording differs slightly. */
function merge(known: Signature[], more: Signature[]): Signature[] {
  const kindOf = ({ what }: Signature) => what.replaceAll(/\d|copy of a /g, "");
  const kinds = new Set(known.map(kindOf));
  return [...known, ...more.filter((one) => !kinds.has(kindOf(one)))];
}

async function readSignatures(device: ComponentDevice): Promise<Signature[]> {
  const { size } = device;
  const head = await readPart(device, 0, Math.min(size, SIGNATURE_HEAD_SIZE));
  const length = Math.min(size, SIGNATURE_TAIL_SIZE);
  const tail = await readPart(device, size - length, length);
  return findSignatures({ size, head, tail });
}

/** Reads off the event loop where the device supports that. */
async function readPart(
  device: ComponentDevice,
  offset: number,
  length: number,
): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  if (length === 0) return bytes;
  await (device.readCold?.(bytes, offset) ?? device.read(bytes, offset));
  return bytes;
}

/** Readable names for libblkid's types, where its own are technical. */
const NAMES: Readonly<Record<string, string>> = {
  "crypto_LUKS": "a LUKS volume",
  "LVM2_member": "an LVM2 physical volume",
  "linux_raid_member": "a Linux RAID member",
  "zfs_member": "a member of a ZFS pool",
  "bcache": "a bcache device",
  "swap": "swap space",
  "swsuspend": "a hibernated system's memory",
  "BitLocker": "a BitLocker volume",
  "vfat": "a FAT file system",
  "ntfs": "an NTFS file system",
  "xfs": "an XFS file system",
  "btrfs": "a Btrfs file system",
  "f2fs": "an F2FS file system",
  "exfat": "an exFAT file system",
  "iso9660": "an ISO 9660 file system",
  "udf": "a UDF file system",
  "squashfs": "a SquashFS file system",
  "squashfs3": "a SquashFS file system",
  "erofs": "an EROFS file system",
  "hfsplus": "an HFS+ file system",
  "apfs": "an APFS container",
  "ufs": "a UFS file system",
  "jfs": "a JFS file system",
  "reiserfs": "a ReiserFS file system",
  "ocfs2": "an OCFS2 file system",
  "jbd": "an ext4 journal",
  "gpt": "a GPT partition table",
  "dos": "an MBR partition table",
  "bsd": "a BSD disk label",
  "mac": "an Apple partition map",
};

function signatureOf({ type, usage, label, uuid }: BlkidFinding): Signature {
  const kinds: Readonly<Record<string, string>> = {
    filesystem: "file system",
    raid: "RAID member",
    crypto: "volume",
    partitions: "partition table",
  };
  const words = `${type} ${kinds[usage] ?? "data"}`;
  const article = /^[aeiou]/i.test(words) ? "an" : "a";
  return { what: NAMES[type] ?? `${article} ${words}`, label, uuid };
}

function textOf({ what, label, uuid }: Signature): string {
  const details = [
    ...label === "" ? [] : [`label "${label}"`],
    ...uuid === "" ? [] : [`UUID ${uuid}`],
  ];
  return details.length === 0 ? what : `${what} (${details.join(", ")})`;
}
