/**
 * Flushing several devices at the same time.
 *
 * @module
 */

import {
  type BlockDevice,
  type Completion,
  joinParts,
} from "../../device/block/mod.ts";

/**
 * Flushes several devices.
 *
 * @param devices The devices.
 * @returns Undefined if nothing needed a flush; else settles with the last
 *   flush, or rejects with the first that fails.
 */
export function flushAll(
  devices: readonly Pick<BlockDevice, "flush">[],
): Completion {
  // Fail with the first failure: the pool has to stop writing at once, and must
  // not wait for a disk that hangs to learn that another one has failed.
  return joinParts(devices, (device) => device.flush(), {
    failsFast: true,
  });
}
