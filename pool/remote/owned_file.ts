/**
 * The owner block on a component that is opened as a file or a block device on
 * this machine: another process may use the same disk through a server.
 *
 * @module
 */

import { VirstorError } from "../../errors.ts";
import type { OwnerBlock } from "../../metadata/journal/mod.ts";
import type { ComponentDevice } from "../core/mod.ts";
import { watchOwner } from "./far_owner.ts";
import { readOwnerBlock, releaseOwner } from "./owner_block.ts";

/**
 * Refuses a file that another process uses by a URI.
 *
 * @param device The component, open.
 * @param signal Ends the watch.
 * @returns The block of an owner that has ended without giving the component
 *   up; undefined if there is none.
 * @throws {VirstorError} `busy` if the owner is alive, `corrupt`, `io`; the
 *   reason of the signal.
 */
export async function watchFile(
  device: ComponentDevice,
  signal?: AbortSignal,
): Promise<OwnerBlock | undefined> {
  const block = await readOwnerBlock(device);
  if (block?.isInUse !== true) return undefined;
  await watchOwner(device.path, device, block, signal);
  return block;
}

/**
 * Refuses a file that another process uses by a URI, or has not given up.
 *
 * @param device The component, open.
 * @param withoutJournal Whether to do without the journal of its owner.
 * @throws {VirstorError} As {@linkcode watchFile}; `failed` if the owner has not
 *   given it up.
 */
export async function refuseOwnedFile(
  device: ComponentDevice,
  withoutJournal: boolean,
): Promise<void> {
  const block = await watchFile(device);
  if (block === undefined || device.capabilities.readOnly) return;
  if (withoutJournal) {
    await releaseOwner(device, block);
    return;
  }
  throw new VirstorError(
    "failed",
    `Cannot open "${device.path}" as a file: host "${block.host}" has used it ` +
      "by a URI and has not given it up, its journal may hold writes that are " +
      "not here: open it by that URI, or use virstor repair --without-journal " +
      "to do without them",
  );
}
