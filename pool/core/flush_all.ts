/**
 * Flushing several devices at once.
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
 * Makes durable what was written to several devices.
 *
 * @param devices The devices.
 * @param options How.
 * @returns A promise if there is anything to make durable; it fails as soon as
 *   the first of the flushes does.
 */
export function flushAll(
  devices: readonly Pick<BlockDevice, "flush" | "startFlush">[],
  options?: FlushOptions,
): Completion {
  if (options?.mayBlock === true && devices.length > 1) {
    // So that all disks work while the first one is waited for.
    for (const device of devices) device.startFlush?.();
  }
  // The first failure counts: the pool has to stop writing at once, and must
  // not wait for a disk that hangs to hear of another that has failed.
  return joinParts(devices, (device) => device.flush(options), {
    failsFast: true,
  });
}
