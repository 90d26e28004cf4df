/**
 * The label on a component: where it is read and written, whatever the format
 * is. Callers deal with devices and labels, not with sectors.
 *
 * @module
 */

import { VirstorError } from "../errors.ts";
import {
  decodeFreebsdLabel,
  encodeFreebsdLabel,
  freebsdLabelOffset,
  isFreebsdLabel,
  SECTOR_SIZE,
} from "../metadata/mod.ts";
import type { FreebsdLabel } from "../metadata/mod.ts";
import type { ComponentDevice } from "./component.ts";

/**
 * Reads the label of a component and holds it against the file it is on.
 *
 * @param device The open component.
 * @returns The label.
 * @throws {VirstorError} `not-found` if there is none, `corrupt`,
 *   `unsupported`, `io`.
 */
export function readDeviceLabel(device: ComponentDevice): FreebsdLabel {
  const sector = readLastSector(device);
  const label = decodeFreebsdLabel(sector, device.path);
  const size = freebsdLabelOffset(device.size) + SECTOR_SIZE;
  if (label.componentSize !== size) {
    throw new VirstorError(
      "corrupt",
      `The size of "${device.path}" is ${size} bytes, but its label says ` +
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
 * Whether a component carries a label, sound or not.
 *
 * @param device The open component.
 * @returns Whether the magic is in its last sector.
 */
export function hasLabel(device: ComponentDevice): boolean {
  return freebsdLabelOffset(device.size) >= 0 &&
    isFreebsdLabel(readLastSector(device));
}

/**
 * Writes a label into the page cache.
 *
 * @param device The open component.
 * @param label What to write.
 * @throws {VirstorError} `io`.
 */
export function writeDeviceLabel(
  device: ComponentDevice,
  label: FreebsdLabel,
): void {
  const sector = new Uint8Array(SECTOR_SIZE);
  encodeFreebsdLabel(label, sector);
  device.write(sector, label.componentSize - SECTOR_SIZE);
}

/**
 * Takes the label off a component, durably.
 *
 * @param device The open component.
 * @throws {VirstorError} `io`.
 */
export async function wipeDeviceLabel(device: ComponentDevice): Promise<void> {
  device.write(new Uint8Array(SECTOR_SIZE), freebsdLabelOffset(device.size));
  await device.flush();
}

function readLastSector(device: ComponentDevice): Uint8Array {
  const offset = freebsdLabelOffset(device.size);
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
