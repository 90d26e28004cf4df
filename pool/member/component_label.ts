/**
 * The label on a component: where it is read and written. Callers deal with
 * devices and labels, not with sectors. A label is what says of a file that it
 * is a component: the last sector in format 1, the superblocks in format 2.
 *
 * @module
 */

import { inBytes, VirstorError } from "../../errors.ts";
import {
  decodeFreebsdLabel,
  encodeFreebsdLabel,
  FREEBSD_SECTOR_SIZES,
  type FreebsdLabel,
  freebsdLabelOffset,
  isFreebsdLabel,
  SECTOR_SIZE,
} from "../../metadata/freebsd/mod.ts";
import {
  type DecodedSuperblock,
  superblockPosition,
} from "../../metadata/native/mod.ts";
import type { ComponentDevice } from "../core/mod.ts";
import { type Effort, findMovedLabel, MovedLabelError } from "./moved_label.ts";
import {
  hasSuperblock,
  readSuperblock,
  wipeSuperblocks,
} from "./native_superblock.ts";

/** What a component says of itself and of its pool. */
export type ComponentLabel =
  | FreebsdLabel & {
    /** The format of its pool. */
    readonly format: "freebsd";
  }
  | DecodedSuperblock & {
    /** The format of its pool. */
    readonly format: "native";
  };

/**
 * Reads the label of a component, of either format.
 *
 * @param device The open component.
 * @param effort How far to look for a label that is not at the end.
 * @returns The label.
 * @throws {VirstorError} `not-found` if there is none, also if there is one
 *   where the component ended before it was cut or extended; `corrupt`,
 *   `unsupported`, `io`.
 */
export function readComponentLabel(
  device: ComponentDevice,
  effort: Effort = "thorough",
): ComponentLabel {
  try {
    return readLabelAtEnd(device);
  } catch (error) {
    if (!(error instanceof VirstorError)) throw error;
    const { code } = error;
    if (code !== "not-found" && code !== "corrupt") throw error;
    // What is wrong with a label at the end of format 1, its size too, is told.
    if (code === "corrupt" && hasFreebsdLabel(device)) throw error;
    const moved = findMovedLabel(device, code === "corrupt" ? "brief" : effort);
    throw moved === undefined
      ? error
      : new MovedLabelError(device, moved, code);
  }
}

/**
 * Reads the label at the end of a component; where else one may be is not
 * looked at.
 *
 * @param device The open component.
 * @returns The label.
 * @throws {VirstorError} `not-found`, `corrupt`, `unsupported`, `io`.
 */
export function readLabelAtEnd(device: ComponentDevice): ComponentLabel {
  if (!hasSuperblock(device) || isData(device)) {
    return { format: "freebsd", ...readDeviceLabel(device) };
  }
  if (hasFreebsdLabel(device)) {
    throw new VirstorError(
      "corrupt",
      `Cannot tell what "${device.path}" is: it carries labels of both ` +
        "formats, clear it or label it anew",
    );
  }
  return { format: "native", ...readSuperblock(device).superblock };
}

/**
 * Whether what looks like a superblock lies in a chunk of a pool of format 1:
 * whoever uses its disk may write there what they want.
 */
function isData(device: ComponentDevice): boolean {
  if (!hasFreebsdLabel(device)) return false;
  try {
    const { chunkCount, chunkSize } = readDeviceLabel(device);
    return chunkCount * chunkSize > superblockPosition(device.size, 0);
  } catch {
    return false;
  }
}

/**
 * What tells a pool from others of its name.
 *
 * @param label A label of it.
 * @returns A UUID, or a number.
 */
export function poolIdOf(label: ComponentLabel): string {
  return label.format === "native" ? label.poolUuid : String(label.id);
}

/**
 * Reads the label of format 1 of a component and holds it against the file it is on.
 *
 * @param device The open component.
 * @returns The label.
 * @throws {VirstorError} `not-found` if there is none, `corrupt`,
 *   `unsupported`, `io`.
 */
export function readDeviceLabel(device: ComponentDevice): FreebsdLabel {
  const sectorSize = labelSectorSize(device) ?? SECTOR_SIZE;
  const sector = readLastSector(device, sectorSize);
  const label = decodeFreebsdLabel(sector, device.path);
  const size = freebsdLabelOffset(device.size, sectorSize) + sectorSize;
  if (label.componentSize !== size) {
    throw new VirstorError(
      "corrupt",
      `The size of "${device.path}" is ${inBytes(size)}, but its label says ` +
        `${label.componentSize}: it was cut, extended or copied badly`,
    );
  }
  const name = device.path.slice(device.path.lastIndexOf("/") + 1);
  if (label.hardcodedName !== "" && label.hardcodedName !== name) {
    throw new VirstorError(
      "corrupt",
      `The label of "${device.path}" is for a component named ` +
        `"${label.hardcodedName}" only (it was labelled with -h)`,
    );
  }
  return label;
}

/**
 * Whether a component carries a label of any format, sound or not.
 *
 * @param device The open component.
 * @returns Whether there is the magic of one.
 */
export function hasLabel(device: ComponentDevice): boolean {
  return hasFreebsdLabel(device) || hasSuperblock(device);
}

function hasFreebsdLabel(device: ComponentDevice): boolean {
  return labelSectorSize(device) !== undefined;
}

/**
 * Finds a label of format 1, sound or not: at the start of the last sector, on
 * disks of whatever sectors.
 *
 * @param device The open component.
 * @returns Bytes of a sector; undefined if there is no label.
 */
export function labelSectorSize(device: ComponentDevice): number | undefined {
  return FREEBSD_SECTOR_SIZES.find((sectorSize) =>
    freebsdLabelOffset(device.size, sectorSize) >= 0 &&
    isFreebsdLabel(readLastSector(device, sectorSize))
  );
}

/**
 * Writes a label into the page cache.
 *
 * @param device The open component.
 * @param label What to write.
 * @param sectorSize Bytes of a sector of the component; 512.
 * @throws {VirstorError} `io`.
 */
export function writeDeviceLabel(
  device: ComponentDevice,
  label: FreebsdLabel,
  sectorSize: number = SECTOR_SIZE,
): void {
  const sector = new Uint8Array(SECTOR_SIZE);
  encodeFreebsdLabel(label, sector);
  device.write(sector, label.componentSize - sectorSize);
}

/**
 * Takes the labels of any format off a component, durably.
 *
 * @param device The open component.
 * @throws {VirstorError} `io`.
 */
export async function wipeDeviceLabels(device: ComponentDevice): Promise<void> {
  // Else there may be data.
  if (hasSuperblock(device)) wipeSuperblocks(device);
  const sectorSize = labelSectorSize(device);
  if (sectorSize !== undefined && sectorSize !== SECTOR_SIZE) {
    const offset = freebsdLabelOffset(device.size, sectorSize);
    device.write(new Uint8Array(SECTOR_SIZE), offset);
  }
  device.write(new Uint8Array(SECTOR_SIZE), freebsdLabelOffset(device.size));
  await device.flush();
}

/** The first 512 bytes of the last sector. */
function readLastSector(
  device: ComponentDevice,
  sectorSize: number,
): Uint8Array {
  const offset = freebsdLabelOffset(device.size, sectorSize);
  if (offset < 0) {
    throw new VirstorError(
      "not-found",
      `There is no label on "${device.path}": it has no sector for one`,
    );
  }
  const sector = new Uint8Array(SECTOR_SIZE);
  device.read(sector, offset);
  return sector;
}
