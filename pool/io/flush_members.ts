/**
 * Flushing all components of a pool.
 *
 * @module
 */

import { type Completion, joinParts } from "../../device/block/mod.ts";
import { LENT_FILES_MAX, type LentFlush } from "../../device/leases/mod.ts";
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

/**
 * Begins the same flush for another thread, which runs the `fdatasync` of each
 * component.
 *
 * @param parts The open pool.
 * @param onBegin Receives the completion of the flush, if it begins: undefined
 *   if there is nothing to make durable. It rejects with `failed`: the pool
 *   takes no more writes.
 * @returns The flush; undefined if a component is being flushed, or can be
 *   flushed on the event loop only, or if mappings have to be settled.
 */
export function lendFlush(
  parts: PoolBase,
  onBegin: (ended: Completion) => void,
): LentFlush | undefined {
  const { format: { members }, fail } = parts;
  const may = members.every(({ device }) => device.maySyncElsewhere === true);
  if (!may || members.length > LENT_FILES_MAX) return undefined;
  if (parts.settling.isNeeded) return undefined;
  // No await from here on: the flush covers exactly what is settled.
  settleLeasedWrites(parts);
  const syncs = members.flatMap(({ device }) => device.syncElsewhere?.() ?? []);
  const ended = joinParts(syncs, ({ ended }) => ended, { failsFast: true });
  onBegin(
    ended?.catch((error) => {
      throw fail(error);
    }),
  );
  return {
    files: syncs.map(({ file }) => file),
    end: (done) => syncs.forEach((sync, i) => sync.end(i < done)),
  };
}

/** Notes on the components what other threads wrote under leases. */
function settleLeasedWrites({ format, volumes }: PoolBase): void {
  for (const { map: { leases } } of volumes) {
    if (leases === undefined) continue;
    for (const { id, device } of format.members) {
      if (leases.takeWritten(id)) device.touched?.();
    }
  }
}
