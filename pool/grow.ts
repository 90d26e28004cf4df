/**
 * Opening a pool of which a component has grown: its label lies where the file
 * or the device ended before.
 *
 * @module
 */

import { fileIdentity } from "../device/file/mod.ts";
import { isUri, VirstorError } from "../errors.ts";
import type { ComponentDevice, OpenDevice } from "./core/mod.ts";
import {
  findMovedLabelLater,
  type MovedLabel,
  readLabelAtEnd,
} from "./member/mod.ts";
import { deviceOpener, openPool, type PoolOptions } from "./open.ts";
import type { Pool } from "./pool.ts";

/**
 * Opens a pool with a component that has grown, at its former size.
 * {@linkcode Pool.grow} takes in what it got.
 *
 * @param paths Where the components are.
 * @param grown The component that has grown.
 * @param options How, as `openPool`.
 * @returns The pool; as `openPool` if the component has not grown.
 * @throws {VirstorError} As `openPool`; `unsupported` if the component is on
 *   another machine.
 */
export async function openToGrow(
  paths: readonly string[],
  grown: string,
  options: PoolOptions = {},
): Promise<Pool> {
  if (isUri(grown)) {
    throw new VirstorError(
      "unsupported",
      `Cannot grow "${grown}": it is on another machine`,
    );
  }
  const open = deviceOpener(options);
  const size = (await formerLabel(grown, open))?.size;
  if (size === undefined) return await openPool(paths, options);
  const identity = fileIdentity(grown);
  const openDevice: OpenDevice = (path, how) =>
    !isUri(path) && fileIdentity(path) === identity
      ? open(path, { ...how, size })
      : open(path, how);
  return await openPool(paths, { ...options, openDevice });
}

/**
 * The pool of a component that has grown.
 *
 * @param path The component.
 * @returns The name; undefined if its label is at the end, or none was found.
 * @throws {VirstorError} `not-found`, `io`.
 */
export async function grownPoolName(path: string): Promise<string | undefined> {
  return (await formerLabel(path, deviceOpener({})))?.name;
}

/** The label at the former end; undefined if the label is at the end. */
async function formerLabel(
  path: string,
  openDevice: OpenDevice,
): Promise<MovedLabel | undefined> {
  const device = await openDevice(path, { readOnly: true });
  try {
    return hasLabelAtEnd(device)
      ? undefined
      : await findMovedLabelLater(device);
  } finally {
    await device.close();
  }
}

function hasLabelAtEnd(device: ComponentDevice): boolean {
  try {
    readLabelAtEnd(device);
    return true;
  } catch (error) {
    // A part of the former label may lie there, if it has grown by little.
    if (error instanceof VirstorError) return false;
    throw error;
  }
}
