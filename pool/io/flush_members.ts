/**
 * Flushing all components of a pool.
 *
 * @module
 */

import type { Completion } from "../../device/block/mod.ts";
import { flushAll } from "../core/mod.ts";
import type { PoolParts } from "./pool_parts.ts";

/**
 * Makes durable, on every component, data and map of all writes that were done
 * before, also of those that other threads made under leases.
 *
 * @param parts The open pool.
 * @returns A promise if there is anything to make durable.
 * @throws {VirstorError} `failed`: the pool takes no more writes.
 */
export function flushMembers(
  { format, map, fail }: PoolParts,
): Completion {
  const failed = (error: unknown) => {
    throw fail(error);
  };
  try {
    const { leases } = map;
    if (leases !== undefined) {
      for (const { id, device } of format.members) {
        if (leases.takeWritten(id)) device.touched?.();
      }
    }
    const devices = format.members.map(({ device }) => device);
    return flushAll(devices)?.catch(failed);
  } catch (error) {
    return failed(error);
  }
}
