/**
 * Flushing several devices at once.
 *
 * @module
 */

import type { BlockDevice, Completion, FlushOptions } from "../device/mod.ts";
import { abandon, both } from "../device/mod.ts";

/**
 * Makes durable what was written to several devices. One that refuses at once
 * leaves no failure of another behind that nobody is told of.
 *
 * @param devices The devices.
 * @param options How.
 * @returns A promise if there is anything to make durable; fails as the first
 *   that fails.
 */
export function flushAll(
  devices: readonly Pick<BlockDevice, "flush" | "startFlush">[],
  options?: FlushOptions,
): Completion {
  let pending: Completion;
  try {
    if (options?.mayBlock === true && devices.length > 1) {
      // So that all disks work while the first one is waited for.
      for (const device of devices) device.startFlush?.();
    }
    for (const device of devices) {
      pending = both(pending, device.flush(options));
    }
  } catch (error) {
    abandon(pending);
    throw error;
  }
  return pending;
}
