/**
 * Flushing several devices at the same time.
 *
 * @module
 */

import {
  type BlockDevice,
  type Completion,
  type FlushOptions,
  joinParts,
} from "../../device/block/mod.ts";

/**
 * Flushes several devices.
 *
 * @param devices The devices.
 * @param options Options for each flush.
 * @returns Undefined if nothing needed a flush; else settles with the last
 *   flush, or rejects with the first that fails.
 */
export function flushAll(
  devices: readonly Pick<BlockDevice, "flush" | "startFlush">[],
  options?: FlushOptions,
): Completion {
  if (options?.mayBlock === true && devices.length > 1) {
    // All disks then work while this thread waits for the first one.
    for (const device of devices) device.startFlush?.();
  }
  // Fail with the first failure: the pool has to stop writing at once, and must
  // not wait for a disk that hangs to learn that another one has failed.
  return joinParts(devices, (device) => device.flush(options), {
    failsFast: true,
  });
}
