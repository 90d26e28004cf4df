/**
 * Opening a component by its path or its URI, up to the point where its label
 * can be read.
 *
 * @module
 */

import { VirstorError } from "../../errors.ts";
import {
  nativeGeometry,
  newOverflowSize,
  type Superblock,
} from "../../metadata/native/mod.ts";
import type {
  ComponentDevice,
  OpenDevice,
  OpenDeviceOptions,
} from "../core/mod.ts";
import { refuseOwnedFile } from "../remote/mod.ts";
import { type ComponentLabel, readComponentLabel } from "./component_label.ts";
import { labelsStart } from "./moved_label.ts";

/**
 * Opens a component, with its labels at hand.
 *
 * @param path Its path or URI.
 * @param options How to open it.
 * @param openDevice Opens it.
 * @returns The device; reads of labels finish at once.
 * @throws {VirstorError} As `openDevice`; nothing is open then.
 */
export async function openWithLabels(
  path: string,
  options: OpenDeviceOptions,
  openDevice: OpenDevice,
): Promise<ComponentDevice> {
  const device = await openDevice(path, options);
  try {
    await device.keep?.(labelsStart(device.size));
    return device;
  } catch (error) {
    await device.close();
    throw error;
  }
}

/** A component, and its label. */
export interface LabelledDevice {
  /** The open component. */
  readonly device: ComponentDevice;
  /** Its label. */
  readonly label: ComponentLabel;
}

/**
 * Reads the label of a component. Takes the ownership of a component on another
 * machine, unless it is open read-only.
 *
 * *Ensures*: reads of the label and of the chunk table finish at once.
 *
 * @param device The component, of {@linkcode openWithLabels}.
 * @param withoutJournal Whether to do without the journal of another owner;
 *   default false.
 * @returns The label, and the device to use from now on.
 * @throws {VirstorError} As `readComponentLabel`; `unsupported` if the label is
 *   of format 1 and the component on another machine; `busy`, `failed`, `io`.
 *   The device stays open.
 */
export async function labelledDevice(
  device: ComponentDevice,
  withoutJournal = false,
): Promise<LabelledDevice> {
  const label = readComponentLabel(device);
  if (device.keep === undefined) {
    if (label.format === "native") {
      await refuseOwnedFile(device, withoutJournal);
    }
    return { device, label };
  }
  if (label.format === "freebsd") throw refusedUri(device.path);
  const owned = await device.claim?.() ?? device;
  try {
    await keepTable(owned, label);
  } catch (error) {
    await owned.close();
    throw error;
  }
  return { device: owned, label };
}

/**
 * Takes the ownership of a component-to-be on another machine.
 *
 * *Requires*: what it holds is not needed.
 *
 * @param device The component.
 * @param chunkSize Bytes of a chunk of its pool.
 * @returns The device to use from now on.
 * @throws {VirstorError} `busy`, `failed`, `io`; the device stays open.
 */
export async function ownedDevice(
  device: ComponentDevice,
  chunkSize: number,
): Promise<ComponentDevice> {
  if (device.keep === undefined) return device;
  const owned = await device.claim?.() ?? device;
  const overflowSize = newOverflowSize(owned.size);
  await keepTable(owned, { chunkSize, overflowSize });
  return owned;
}

/**
 * Takes the ownership of a component on another machine.
 *
 * *Requires*: it carries a label of format 2, or what it holds is not needed.
 *
 * @param device The component.
 * @returns The device to use from now on; reads of labels finish at once.
 * @throws {VirstorError} `busy`, `failed`, `io`; the device stays open.
 */
export async function claimed(
  device: ComponentDevice,
): Promise<ComponentDevice> {
  const owned = await device.claim?.() ?? device;
  await owned.keep?.(labelsStart(owned.size));
  return owned;
}

/**
 * The refusal of a URI where only files and block devices can be.
 *
 * @param path The URI, without a password.
 * @returns The error.
 */
export function refusedUri(path: string): VirstorError {
  return new VirstorError(
    "unsupported",
    `Cannot use "${path}": a pool of format freebsd takes files and block ` +
      "devices only, the native format takes URIs, too",
  );
}

/**
 * Makes reads of the label and of the chunk table finish at once, on a component
 * on another machine.
 *
 * @param device The component.
 * @param label Its label, or the one that it will have.
 * @throws {VirstorError} `io`.
 */
export async function keepTable(
  device: ComponentDevice,
  { chunkSize, overflowSize }: Pick<Superblock, "chunkSize" | "overflowSize">,
): Promise<void> {
  if (device.keep === undefined) return;
  const { size } = device;
  const { tableOffset } = nativeGeometry(size, chunkSize, overflowSize);
  await device.keep(Math.min(tableOffset, labelsStart(size)));
}
