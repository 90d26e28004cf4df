/**
 * What a file that is to become a component holds, and what else uses it:
 * nothing is overwritten that may still be needed.
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

/** More findings than these are counted only. */
const FINDINGS_SHOWN = 3;

/**
 * Refuses a component that something else may write to: a process that has it
 * open for writing, a mount, swap, a loop device. The device itself has refused
 * what the kernel tells at once; this asks where it did not tell.
 *
 * @param device The component, open and locked exclusively.
 * @throws {VirstorError} `busy`, naming what uses it.
 */
export async function refuseWriters(device: ComponentDevice): Promise<void> {
  const { openElsewhere: how = "no" } = device;
  if (how === "unknown" || how === "locked") await refuseUses(device, true);
}

/**
 * Refuses a component that something else uses, although it only reads it:
 * what it reads is about to go.
 *
 * @param device The component, open and locked exclusively.
 * @param force Whether processes may read it.
 * @throws {VirstorError} `busy`, naming what uses it.
 */
export async function refuseUsers(
  device: ComponentDevice,
  force: boolean,
): Promise<void> {
  const { openElsewhere: how = "no", path, identity } = device;
  if (how === "no") return;
  await refuseUses(device, force);
  if ((how === "reading" || how === "locked") && !force) {
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
 * Refuses a component that holds something that `wipefs` knows, or an image.
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

/** Those of both, each kind once: the two call some by slightly other words. */
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

/** Reads off the event loop, where the device can. */
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

/** What libblkid calls things, where its names are not those of people. */
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
