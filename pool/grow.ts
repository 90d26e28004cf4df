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
 * Opens a pool with components that have grown, at their former sizes.
 * {@linkcode Pool.grow} takes in what one of them got.
 *
 * @param paths Where the components are.
 * @param grown A component that has grown; others may have, too.
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
  const sizes = new Map([[fileIdentity(grown), size]]);
  for (const path of [...paths, ...options.others ?? []]) {
    const size = await formerSize(path, open);
    if (size !== undefined) sizes.set(fileIdentity(path), size);
  }
  const openDevice: OpenDevice = (path, how) => {
    const size = isUri(path) ? undefined : sizes.get(fileIdentity(path));
    return open(path, size === undefined ? how : { ...how, size });
  };
  return await openPool(paths, { ...options, openDevice });
}

/** The former size of a component that has grown; undefined for any other. */
async function formerSize(
  path: string,
  open: OpenDevice,
): Promise<number | undefined> {
  if (isUri(path)) return undefined;
  try {
    return (await formerLabel(path, open))?.size;
  } catch (error) {
    // Opening the pool says what is wrong with it.
    if (error instanceof VirstorError) return undefined;
    throw error;
  }
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
