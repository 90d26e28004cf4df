/**
 * Rebuilding lost superblocks of format 2, when both slots of a component are
 * damaged or gone. The other members know everything that they said, but not
 * which member this component is. Every page of its chunk table names that.
 *
 * @module
 */

import {
  isSuperblock,
  NATIVE_PAGE_SIZE,
  nativeGeometry,
  newOverflowSize,
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
  claimed,
  hasSuperblock,
  keepTable,
  openWithLabels,
  planNativeMembers,
  readSuperblock,
  refuseWriters,
  writeSuperblock,
} from "../../member/mod.ts";
import {
  type ComponentDevice,
  type Finding,
  finished,
  identityAt,
  type OpenDevice,
  withPatience,
} from "../../core/mod.ts";
import { tableOf } from "./native_member.ts";
import { scanTable } from "./native_scan.ts";

/** Bytes of a slot that identify a superblock. */
const MAGIC_BYTES = 16;

/** How to rebuild. */
export interface RebuildOptions {
  /** Report what would be rebuilt, and write nothing. */
  readonly dryRun: boolean;
  /** Opens a component. */
  readonly openDevice: OpenDevice;
}

/**
 * Rewrites the superblocks of members that have lost both of theirs.
 *
 * @param assembly The components of a pool of format 2 that were found. Those
 *   without superblocks are among its faults.
 * @param options How to rebuild.
 * @returns A finding for each component that was rebuilt, or would be.
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
  // A pool with unknown features must not be written.
  if (labelled.some(({ label }) => label.readOnly)) return [];
  const missing = new Set(
    truth.members.filter((_, i) => members[i] === undefined)
      .map(({ uuid }) => uuid),
  );
  if (missing.size === 0) return [];
  const devices: ComponentDevice[] = [];
  try {
    const claimants = new Map<string, Claimant[]>();
    for (const path of pathsOf(assembly)) {
      const lock = dryRun ? "shared" : "exclusive";
      const device = await withPatience(() =>
        openWithLabels(path, { readOnly: dryRun, lock }, openDevice)
      );
      devices.push(device);
      const overflowSize = newOverflowSize(device.size);
      await keepTable(device, { ...truth, overflowSize });
      if (isSound(device) || isMoved(device)) continue;
      const found = claimantOf(device, truth);
      if (found === undefined || !missing.has(found.uuid)) continue;
      const { uuid } = found;
      claimants.set(uuid, [...claimants.get(uuid) ?? [], found]);
    }
    const findings: Finding[] = [];
    for (const [uuid, [found, copy]] of claimants) {
      // With two copies of a component, choosing one would be a guess.
      if (found === undefined || copy !== undefined) continue;
      if (!dryRun) {
        await refuseWriters(found.device);
        const device = await claimed(found.device);
        devices.push(device);
        const { chunkSize } = truth;
        await keepTable(device, { chunkSize, ...found });
        await rebuild({ ...found, device }, truth);
      }
      findings.push(rebuiltFinding(found.device.path, uuid));
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
    what: `Both superblocks are lost; the chunk table says that this is ` +
      `component ${uuid}: they are rewritten from those of the other members`,
    where: path,
    effect: "no data are lost",
  };
}

/** The existing files that carry no readable label. */
function pathsOf({ faults }: Assembly): string[] {
  const identities = new Set<string>();
  const paths: string[] = [];
  for (const { path, error } of faults) {
    if (error.code !== "corrupt" && error.code !== "not-found") continue;
    try {
      const identity = identityAt(path);
      if (!identities.has(identity)) paths.push(path);
      identities.add(identity);
    } catch {
      // The file does not exist, so it cannot be rebuilt.
    }
  }
  return paths;
}

/** Whether a component has a sound superblock; such a one is left alone. */
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
 * Whether superblocks lie a few pages beside their place. Then the component
 * was cut or extended by that much. Its table lies beside its place, too, and
 * slots would be mistaken for other slots of their page.
 */
function isMoved(device: ComponentDevice): boolean {
  const start = new Uint8Array(MAGIC_BYTES);
  for (let by = 1 - TABLE_SLOTS; by < TABLE_SLOTS; by++) {
    for (let slot = 0; slot < SUPERBLOCK_SLOTS; slot++) {
      const at = superblockPosition(device.size, slot) + by * NATIVE_PAGE_SIZE;
      if (by === 0 || at < 0) continue;
      finished(device.read(start, at));
      if (isSuperblock(start)) return true;
    }
  }
  return false;
}

/** A component whose table says which member it is. */
interface Claimant {
  readonly device: ComponentDevice;
  readonly uuid: string;
  /** Bytes of the overflow of a superblock slot, as the table's place says. */
  readonly overflowSize: number;
}

/** Looks for a table where it lies with overflows, and without. */
function claimantOf(
  device: ComponentDevice,
  truth: Superblock,
): Claimant | undefined {
  for (const overflowSize of new Set([newOverflowSize(device.size), 0])) {
    const uuid = uuidInTable(device, truth, overflowSize);
    if (uuid !== "") return { device, uuid, overflowSize };
  }
  return undefined;
}

/** The UUID on the first sound page of a table; "" if that is no member. */
function uuidInTable(
  device: ComponentDevice,
  truth: Superblock,
  overflowSize: number,
): string {
  const geometry = nativeGeometry(device.size, truth.chunkSize, overflowSize);
  if (geometry.chunkCount === 0) return "";
  const slots = new Uint8Array(TABLE_SLOTS_SIZE);
  for (let page = 0; page < geometry.tablePages; page++) {
    const position = tableSlotPosition(geometry, page, 0);
    const [extent] = device.extents(position, slots.length);
    if (extent?.kind === "hole" && extent.length === slots.length) continue;
    finished(device.read(slots, position));
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
    const isMember = other === undefined &&
      member?.chunkCount === geometry.chunkCount;
    return isMember ? uuid : "";
  }
  return "";
}

async function rebuild(
  { device, uuid: componentUuid, overflowSize }: Claimant,
  truth: Superblock,
): Promise<void> {
  const { componentSize } = nativeGeometry(device.size, truth.chunkSize);
  const own = { ...truth, componentUuid, componentSize, overflowSize };
  const table = tableOf(device, own);
  await scanTable(table, {
    page() {},
    unsound() {},
    owned: (entry) =>
      table.found(entry.chunk, entry.virtualChunk, entry.sequence, entry),
  });
  const tableDigest = truth.clean ? table.digest : 0;
  const superblock = { ...own, tableDigest };
  for (let slot = 0; slot < SUPERBLOCK_SLOTS; slot++) {
    writeSuperblock(device, superblock, slot);
  }
  await device.flush();
}
