/**
 * Flushing all components of a pool.
 *
 * @module
 */

import type { Completion } from "../../device/block/mod.ts";
import { LEASE_SOURCES_MAX } from "../../device/leases/mod.ts";
import type { PoolBase } from "./pool_parts.ts";

/**
 * Makes durable, on every component, data and map of all writes that were done
 * before, also of those that other threads made under leases.
 *
 * @param parts The open pool.
 * @returns A promise if there is anything to make durable.
 * @throws {VirstorError} `failed`: the pool takes no more writes.
 */
export function flushMembers(parts: PoolBase): Completion {
  const failed = (error: unknown) => {
    throw parts.fail(error);
  };
  try {
    settleLeasedWrites(parts);
    return parts.settling.flush()?.catch(failed);
  } catch (error) {
    return failed(error);
  }
}

/** Notes on the components what other threads wrote under leases. */
function settleLeasedWrites({ format, volumes }: PoolBase): void {
  for (const { map: { leases } } of volumes) {
    if (leases === undefined) continue;
    for (const { id, device } of format.members) {
      leases.takeWritten(id, () => device.touched?.());
    }
  }
}

/**
 * Lets threads flush by themselves, where each component allows it.
 *
 * @param parts The open pool, with its components as they are now.
 */
export function shareSyncs(
  { format: { members }, settling: { syncs } }: Pick<
    PoolBase,
    "format" | "settling"
  >,
): void {
  // Until all have a line: else a thread would miss what has none.
  syncs.isComplete = false;
  const shares = members.map(({ id, device }) =>
    id < LEASE_SOURCES_MAX && device.shareSync?.(syncs.line(id)) === true
  );
  syncs.isComplete = shares.every((isShared) => isShared);
}
