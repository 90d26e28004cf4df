/**
 * Flushing several devices at once.
 *
 * @module
 */

import type { BlockDevice, Completion } from "../device/mod.ts";
import { abandon, both } from "../device/mod.ts";

/**
 * Makes durable what was written to several devices. One that refuses at once
 * leaves no failure of another behind that nobody is told of.
 *
 * @param devices The devices.
 * @returns A promise if there is anything to make durable; fails as the first
 *   that fails.
 */
export function flushAll(
  devices: Iterable<Pick<BlockDevice, "flush">>,
): Completion {
  let pending: Completion;
  try {
    for (const device of devices) pending = both(pending, device.flush());
  } catch (error) {
    abandon(pending);
    throw error;
  }
  return pending;
}
