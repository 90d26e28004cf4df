/**
 * Superblocks of format 2 that are lost: both slots of a component are damaged
 * or gone. All that they said is known from the other members, apart from
 * which of them this one is; and that its chunk table says, on every page.
 *
 * @module
 */

import { fileIdentity } from "../../../device/file/mod.ts";
import {
  isSuperblock,
  NATIVE_PAGE_SIZE,
  nativeGeometry,
  pickSlot,
  type Superblock,
  SUPERBLOCK_SLOTS,
  superblockPosition,
  TABLE_PAGE_OFFSET,
  TABLE_SLOTS,
  TABLE_SLOTS_SIZE,
  tableSlotPosition,
} from "../../../metadata/native/mod.ts";
import { decodeUuid, UUID_SIZE } from "../../../metadata/common/mod.ts";
import {
  type Assembly,
  hasSuperblock,
  planNativeMembers,
  readSuperblock,
  refuseWriters,
  writeSuperblock,
} from "../../member/mod.ts";
import {
  type ComponentDevice,
  type Finding,
  type OpenDevice,
  withPatience,
} from "../../core/mod.ts";
import { tableOf } from "./native_member.ts";
import { scanTable } from "./native_scan.ts";

/** Enough of a slot to see whether a superblock is there. */
const MAGIC_BYTES = 16;

/** What is rebuilt with. */
export interface RebuildOptions {
  /** Only say what would be done. */
  readonly dryRun: boolean;
  /** How components are opened. */
  readonly openDevice: OpenDevice;
}

/**
 * Writes the superblocks of members anew whose own are lost.
 *
 * @param assembly What is there of a pool of format 2; the components without
 *   superblocks are among its faults.
 * @param options How.
 * @returns What was done, or would be.
 * @throws {VirstorError} `io`, `busy`, `corrupt` if the other members
 *   contradict each other.
 */
export async function rebuildSuperblocks(
  assembly: Assembly,
  { dryRun, openDevice }: RebuildOptions,
): Promise<Finding[]> {
  const labelled = assembly.found.flatMap(({ path, label }) =>
    label.format === "native" ? [{ path, label }] : []
  );
  if (labelled.length === 0) return [];
  const { truth, members } = planNativeMembers(assembly.name, labelled);
  // Of a pool with features that are not known nothing can be written.
  if (labelled.some(({ label }) => label.readOnly)) return [];
  const missing = new Set(
    truth.members.filter((_, i) => members[i] === undefined)
      .map(({ uuid }) => uuid),
  );
  if (missing.size === 0) return [];
  const devices: ComponentDevice[] = [];
  try {
    const claimants = new Map<string, ComponentDevice[]>();
    for (const path of pathsOf(assembly)) {
      const lock = dryRun ? "shared" : "exclusive";
      const device = await withPatience(() =>
        openDevice(path, { readOnly: dryRun, lock })
      );
      devices.push(device);
      if (isSound(device) || isMoved(device)) continue;
      const uuid = uuidInTable(device, truth);
      if (!missing.has(uuid)) continue;
      claimants.set(uuid, [...claimants.get(uuid) ?? [], device]);
    }
    const findings: Finding[] = [];
    for (const [uuid, [device, copy]] of claimants) {
      // Which of two copies is the right one is a guess.
      if (device === undefined || copy !== undefined) continue;
      if (!dryRun) {
        await refuseWriters(device);
        await rebuild(device, truth, uuid);
      }
      findings.push(rebuiltFinding(device.path, uuid));
    }
    return findings;
  } finally {
    for (const device of devices) await device.close();
  }
}

function rebuiltFinding(path: string, uuid: string): Finding {
  return {
    kind: "unreadable",
    severity: "notice",
    what: `Both superblocks are lost; its chunk table says that it is ` +
      `component ${uuid}: they are written anew as the others have them`,
    where: path,
    effect: "no data are lost",
  };
}

/** What was looked at and carries no label that can be used. */
function pathsOf({ faults }: Assembly): string[] {
  const identities = new Set<string>();
  const paths: string[] = [];
  for (const { path, error } of faults) {
    if (error.code !== "corrupt" && error.code !== "not-found") continue;
    try {
      const identity = fileIdentity(path);
      if (!identities.has(identity)) paths.push(path);
      identities.add(identity);
    } catch {
      // There is no such file: it cannot be the one.
    }
  }
  return paths;
}

/** A component of another pool keeps what it has. */
function isSound(device: ComponentDevice): boolean {
  if (!hasSuperblock(device)) return false;
  try {
    readSuperblock(device);
    return true;
  } catch {
    return false;
  }
}

/**
 * Whether there are superblocks a few pages beside their place: the component
 * was cut or extended by that much, and its table is beside its place, too,
 * where slots would be taken for others of their page.
 */
function isMoved(device: ComponentDevice): boolean {
  const start = new Uint8Array(MAGIC_BYTES);
  for (let by = 1 - TABLE_SLOTS; by < TABLE_SLOTS; by++) {
    for (let slot = 0; slot < SUPERBLOCK_SLOTS; slot++) {
      const at = superblockPosition(device.size, slot) + by * NATIVE_PAGE_SIZE;
      if (by === 0 || at < 0) continue;
      device.read(start, at);
      if (isSuperblock(start)) return true;
    }
  }
  return false;
}

/** The UUID on the first sound page of a table; "" if there is none. */
function uuidInTable(device: ComponentDevice, truth: Superblock): string {
  const geometry = nativeGeometry(device.size, truth.chunkSize);
  if (geometry.chunkCount === 0) return "";
  const slots = new Uint8Array(TABLE_SLOTS_SIZE);
  for (let page = 0; page < geometry.tablePages; page++) {
    const position = tableSlotPosition(geometry, page, 0);
    const [extent] = device.extents(position, slots.length);
    if (extent?.kind === "hole" && extent.length === slots.length) continue;
    device.read(slots, position);
    const uuids = new Set<string>();
    for (let at = 0; at < slots.length; at += NATIVE_PAGE_SIZE) {
      const start = at + TABLE_PAGE_OFFSET.componentUuid;
      const bytes = slots.slice(start, start + UUID_SIZE);
      const isSlotSound = pickSlot(slots, position, page, bytes) >= 0;
      if (isSlotSound) uuids.add(decodeUuid(bytes, 0));
    }
    const [uuid, other] = uuids;
    if (uuid === undefined) continue;
    const member = truth.members.find((one) => one.uuid === uuid);
    const isIt = other === undefined &&
      member?.chunkCount === geometry.chunkCount;
    return isIt ? uuid : "";
  }
  return "";
}

async function rebuild(
  device: ComponentDevice,
  truth: Superblock,
  componentUuid: string,
): Promise<void> {
  const { componentSize } = nativeGeometry(device.size, truth.chunkSize);
  const table = tableOf(device, componentUuid, truth.chunkSize);
  await scanTable(table, {
    page() {},
    unsound() {},
    owned: (chunk, v, sequence) => table.found(chunk, v, sequence),
  });
  const tableDigest = truth.clean ? table.digest : 0;
  const superblock = { ...truth, componentUuid, componentSize, tableDigest };
  for (let slot = 0; slot < SUPERBLOCK_SLOTS; slot++) {
    writeSuperblock(device, superblock, slot);
  }
  await device.flush();
}
