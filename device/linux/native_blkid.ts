/**
 * Finds signatures on a file or a block device (file systems, partition tables,
 * RAID members), as `wipefs` does: calls libblkid through Deno's FFI, where the
 * library is installed.
 *
 * @module
 */

import { openLibrary } from "./native_library.ts";

const SYMBOLS = {
  blkid_new_probe: { parameters: [], result: "pointer" },
  blkid_free_probe: { parameters: ["pointer"], result: "void" },
  blkid_probe_set_device: {
    parameters: ["pointer", "i32", "i64", "i64"],
    result: "i32",
  },
  blkid_probe_enable_superblocks: {
    parameters: ["pointer", "i32"],
    result: "i32",
  },
  blkid_probe_set_superblocks_flags: {
    parameters: ["pointer", "i32"],
    result: "i32",
  },
  blkid_probe_enable_partitions: {
    parameters: ["pointer", "i32"],
    result: "i32",
  },
  blkid_probe_set_partitions_flags: {
    parameters: ["pointer", "i32"],
    result: "i32",
  },
  // This call reads from the disk, so it runs off the event loop.
  blkid_do_probe: {
    parameters: ["pointer"],
    result: "i32",
    nonblocking: true,
  },
  blkid_probe_lookup_value: {
    parameters: ["pointer", "buffer", "buffer", "buffer"],
    result: "i32",
  },
} as const;

/**
 * From `blkid.h`: report label, UUID, type, usage and magic, also of
 * superblocks with bad checksums.
 */
const SUPERBLOCK_FLAGS = 1 << 1 | 1 << 3 | 1 << 5 | 1 << 7 | 1 << 9 | 1 << 10;
/** From `blkid.h`: report a GPT without protective MBR, and the magic. */
const PARTITION_FLAGS = 1 << 1 | 1 << 3;
/** Number of findings after which the probe stops. */
const FINDINGS_MAX = 16;

type Blkid = Deno.DynamicLibrary<typeof SYMBOLS>["symbols"];

let library: Blkid | null | undefined;

/** The library, opened at the first use; null if it cannot be opened. */
function libblkid(): Blkid | null {
  if (library === undefined) {
    library = openLibrary(["libblkid.so.1"], SYMBOLS)?.symbols ?? null;
  }
  return library;
}

/** One signature that libblkid found. */
export interface BlkidFinding {
  /** Type of the superblock or of the partition table: `ext4`, `gpt`. */
  readonly type: string;
  /**
   * Usage of the superblock: `filesystem`, `raid`, `crypto` or `other`;
   * `partitions` for a partition table.
   */
  readonly usage: string;
  /** Label in the superblock, or "". */
  readonly label: string;
  /** UUID in the superblock or the partition table, or "". */
  readonly uuid: string;
}

/**
 * Finds the signatures on a file with libblkid, off the event loop.
 *
 * *Requires:* the descriptor stays open until the promise settles.
 *
 * @param descriptor Descriptor of a file or a block device.
 * @returns The signatures, 16 at most; `undefined` if libblkid is not installed
 *   or fails.
 */
export async function probeWithBlkid(
  descriptor: number,
): Promise<BlkidFinding[] | undefined> {
  const blkid = libblkid();
  const probe = blkid?.blkid_new_probe() ?? null;
  if (blkid === null || probe === null) return undefined;
  try {
    if (blkid.blkid_probe_set_device(probe, descriptor, 0n, 0n) !== 0) {
      return undefined;
    }
    blkid.blkid_probe_enable_superblocks(probe, 1);
    blkid.blkid_probe_set_superblocks_flags(probe, SUPERBLOCK_FLAGS);
    blkid.blkid_probe_enable_partitions(probe, 1);
    blkid.blkid_probe_set_partitions_flags(probe, PARTITION_FLAGS);
    const findings: BlkidFinding[] = [];
    while (findings.length < FINDINGS_MAX) {
      const result = await blkid.blkid_do_probe(probe);
      if (result < 0) return undefined;
      if (result > 0) break;
      const valueOf = (name: string) => lookUp(blkid, probe, name);
      const table = valueOf("PTTYPE");
      const type = valueOf("TYPE") || table;
      if (type === "") continue;
      findings.push({
        type,
        usage: table === "" ? valueOf("USAGE") : "partitions",
        label: valueOf("LABEL"),
        uuid: valueOf("UUID") || valueOf("PTUUID"),
      });
    }
    return findings;
  } finally {
    blkid.blkid_free_probe(probe);
  }
}

function lookUp(
  blkid: Blkid,
  probe: NonNullable<Deno.PointerValue>,
  name: string,
): string {
  const [address, length] = [new BigUint64Array(1), new BigUint64Array(1)];
  const zeroEnded = new TextEncoder().encode(name + "\0");
  const result = blkid.blkid_probe_lookup_value(
    probe,
    zeroEnded,
    new Uint8Array(address.buffer),
    new Uint8Array(length.buffer),
  );
  const pointer = Deno.UnsafePointer.create(address[0] ?? 0n);
  if (result !== 0 || pointer === null) return "";
  const bytes = new Uint8Array(Number(length[0] ?? 0n));
  new Deno.UnsafePointerView(pointer).copyInto(bytes);
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
}
