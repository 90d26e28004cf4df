/**
 * What has to be done with a file before it becomes a component.
 *
 * @module
 */

import { counted, VirstorError } from "../../errors.ts";
import { freebsdLabelOffset, SECTOR_SIZE } from "../../metadata/freebsd/mod.ts";
import type { ComponentDevice } from "../core/mod.ts";
import { wipeDeviceLabels } from "./component_label.ts";
import type { ByteRange, ComponentLayout } from "./component_layout.ts";

/**
 * Refuses more components than a pool can have.
 *
 * @param count How many it would have.
 * @param layout How its components are divided.
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
 * Makes a new component read as zeroes, as far as that costs nothing, and
 * takes away old labels, durably.
 *
 * @param device The component.
 * @param metadata What must be zeroed at any cost.
 * @param reserve Whether that gets its space now: then writing it never fails
 *   because the file system is full.
 * @returns Whether all of it reads as zeroes.
 */
export async function prepareNewComponent(
  device: ComponentDevice,
  metadata: ByteRange,
  reserve: boolean,
): Promise<boolean> {
  // Durably, before anything else: a label that is half there is a damaged one.
  await wipeDeviceLabels(device);
  const punches = device.capabilities.discard;
  // What follows the last whole sector is no part of the component.
  const end = freebsdLabelOffset(device.size) + SECTOR_SIZE;
  if (punches) await device.writeZeroes(0, end);
  if (metadata.length > 0 && (reserve || !punches)) {
    const { offset, length } = metadata;
    await device.writeZeroes(offset, length, { noHole: reserve });
  }
  await device.flush();
  return punches;
}
