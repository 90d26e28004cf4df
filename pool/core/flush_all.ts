/**
 * Flushing several devices at once.
 *
 * @module
 */

import {
  type BlockDevice,
  type Completion,
  joinParts,
} from "../../device/block/mod.ts";

/**
 * Makes durable what was written to several devices.
 *
 * @param devices The devices.
 * @returns A promise if there is anything to make durable; it fails as soon as
 *   the first of the flushes does.
 */
export function flushAll(
  devices: readonly Pick<BlockDevice, "flush">[],
): Completion {
  // The first failure counts: the pool has to stop writing at once, and must
  // not wait for a disk that hangs to hear of another that has failed.
  return joinParts(devices, (device) => device.flush(), {
    failsFast: true,
  });
}
