/**
 * Preparation of a file before it becomes a component.
 *
 * @module
 */

import { counted, VirstorError } from "../../errors.ts";
import { freebsdLabelOffset, SECTOR_SIZE } from "../../metadata/freebsd/mod.ts";
import type { ComponentDevice } from "../core/mod.ts";
import { wipeDeviceLabels } from "./component_label.ts";
import type { ByteRange, ComponentLayout } from "./component_layout.ts";

/**
 * Refuses a number of components that the format does not allow.
 *
 * @param count How many components the pool would have.
 * @param layout How the format divides components.
 * @throws {VirstorError} `invalid`.
 */
export function checkCount(count: number, layout: ComponentLayout): void {
  if (count < 1) {
    throw new VirstorError("invalid", "Cannot make a pool of no components");
  }
  if (count <= layout.componentsMax) return;
  throw new VirstorError(
    "invalid",
    `Cannot make a pool of ${counted(count, "component")}: ` +
      `${layout.componentsMax} is the most`,
  );
}

/**
 * Erases old labels and zeroes the metadata region, durably. Punches the whole
 * component where the device supports that, since it costs nothing.
 *
 * @param device The component, open and locked exclusively.
 * @param metadata The region that must read as zeroes in any case.
 * @param reserve Allocate the space of that region now, so that later metadata
 *   writes cannot fail because the file system is full.
 * @returns Whether the whole component reads as zeroes.
 * @throws {VirstorError} `io`.
 */
export async function prepareNewComponent(
  device: ComponentDevice,
  metadata: ByteRange,
  reserve: boolean,
): Promise<boolean> {
  // The labels go first, durably: punching in between could leave half a label
  // after a crash, which would be a damaged one.
  await wipeDeviceLabels(device);
  const punches = device.capabilities.discard;
  // Bytes after the last whole sector are not part of the component.
  const end = freebsdLabelOffset(device.size) + SECTOR_SIZE;
  if (punches) await device.writeZeroes(0, end);
  if (metadata.length > 0 && (reserve || !punches)) {
    const { offset, length } = metadata;
    await device.writeZeroes(offset, length, { noHole: reserve });
  }
  await device.flush();
  return punches;
}
