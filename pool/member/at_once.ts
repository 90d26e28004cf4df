/**
 * Work on several components at the same time: one on another machine may take
 * long to answer, and several that do not answer take no longer than one.
 *
 * @module
 */

import { joinParts } from "../../device/block/mod.ts";
import type { ComponentDevice } from "../core/mod.ts";

/**
 * Starts an action for each item, and waits for all. If some fail, the error is
 * that of the first item that failed.
 *
 * @param items The items.
 * @param act The action; given an item and its index.
 * @throws {unknown} What the action of the first such item throws.
 */
export async function forEachAtOnce<Item>(
  items: readonly Item[],
  act: (item: Item, index: number) => Promise<void>,
): Promise<void> {
  const failures = new Map<number, unknown>();
  await joinParts(items.entries(), async ([i, item]) => {
    try {
      await act(item, i);
    } catch (error) {
      failures.set(i, error);
    }
  });
  if (failures.size > 0) throw failures.get(Math.min(...failures.keys()));
}

/**
 * Closes devices.
 *
 * @param devices The devices; undefined ones are passed over.
 */
export async function closeAll(
  devices: readonly (ComponentDevice | undefined)[],
): Promise<void> {
  await joinParts(devices, (device) => device?.close());
}
