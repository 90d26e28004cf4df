/**
 * Component labels: where they are read and written. A label marks a file as a
 * component. In format 1 it fills the last sector; in format 2 it is the two
 * superblocks. Callers pass devices and labels, never sector positions.
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
import { applied, type ComponentDevice, finished } from "../core/mod.ts";
import { type Effort, findMovedLabel, MovedLabelError } from "./moved_label.ts";
import {
  hasSuperblock,
  readSuperblock,
  wipeSuperblocks,
} from "./native_superblock.ts";

/** What a component says about itself and about its pool. */
export type ComponentLabel =
  | FreebsdLabel & {
    /** The on-disk format of the pool. */
    readonly format: "freebsd";
  }
  | DecodedSuperblock & {
    /** The on-disk format of the pool. */
    readonly format: "native";
  };

/**
 * Reads the label of a component, of either format.
 *
 * @param device The open component.
 * @param effort How far to search for a label that is not at the end.
 * @returns The label.
 * @throws {VirstorError} `not-found` if there is none at the end (a
 *   {@linkcode MovedLabelError} if an earlier end has one: the component was
 *   cut or extended); `corrupt`, `unsupported`, `io`.
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
    // A damaged label of format 1 at the end explains itself, also its size.
    if (code === "corrupt" && hasFreebsdLabel(device)) throw error;
    const moved = findMovedLabel(device, code === "corrupt" ? "brief" : effort);
    throw moved === undefined
      ? error
      : new MovedLabelError(device, moved, code);
  }
}

/**
 * Reads the label at the end of a component, without a search elsewhere.
 *
 * @param device The open component.
 * @returns The label.
 * @throws {VirstorError} `not-found`, `corrupt` (also if labels of both formats
 *   are there), `unsupported`, `io`.
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
 * Whether what looks like a superblock lies inside a chunk of a format 1 pool.
 * A client may have written those bytes as data.
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
 * The id that distinguishes pools of the same name.
 *
 * @param label A label of the pool.
 * @returns The pool's UUID (format 2), or its number in decimal (format 1).
 */
export function poolIdOf(label: ComponentLabel): string {
  return label.format === "native" ? label.poolUuid : String(label.id);
}

/**
 * Reads the format 1 label of a component, and checks it against the size and
 * the name of the file.
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
 * Whether a component carries a label of either format, sound or damaged.
 *
 * @param device The open component.
 * @returns Whether the magic of a label was found.
 */
export function hasLabel(device: ComponentDevice): boolean {
  return hasFreebsdLabel(device) || hasSuperblock(device);
}

function hasFreebsdLabel(device: ComponentDevice): boolean {
  return labelSectorSize(device) !== undefined;
}

/**
 * Finds a format 1 label, sound or damaged. The label starts the last sector,
 * and sectors may be larger than 512 bytes; each known sector size is tried.
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
 * Writes a format 1 label into the page cache; the caller flushes.
 *
 * *Requires*: `label.componentSize` is the end of the component's last sector.
 *
 * @param device The open component.
 * @param label The label to write.
 * @param sectorSize Bytes of a sector of the component; 512 by default.
 * @throws {VirstorError} `io`.
 */
export function writeDeviceLabel(
  device: ComponentDevice,
  label: FreebsdLabel,
  sectorSize: number = SECTOR_SIZE,
): void {
  const sector = new Uint8Array(SECTOR_SIZE);
  encodeFreebsdLabel(label, sector);
  applied(device.write(sector, label.componentSize - sectorSize));
}

/**
 * Erases the labels of both formats from a component, durably.
 *
 * @param device The open component.
 * @throws {VirstorError} `io`.
 */
export async function wipeDeviceLabels(device: ComponentDevice): Promise<void> {
  // Without a superblock, its place may hold data.
  if (hasSuperblock(device)) wipeSuperblocks(device);
  const sectorSize = labelSectorSize(device);
  if (sectorSize !== undefined && sectorSize !== SECTOR_SIZE) {
    const offset = freebsdLabelOffset(device.size, sectorSize);
    applied(device.write(new Uint8Array(SECTOR_SIZE), offset));
  }
  const last = freebsdLabelOffset(device.size);
  applied(device.write(new Uint8Array(SECTOR_SIZE), last));
  await device.flush();
}

/** Reads the first 512 bytes of the last sector. */
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
  finished(device.read(sector, offset));
  return sector;
}
