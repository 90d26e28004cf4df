/**
 * Renaming an open pool. Its first volume has the name of the pool, so both
 * change in one generation of the superblocks.
 *
 * @module
 */

import { VirstorError } from "../../errors.ts";
import type { PoolBase } from "../io/mod.ts";
import { assertNewName, withRecord } from "./volume_list.ts";

/**
 * Renames a pool.
 *
 * @param base The open pool.
 * @param to The new name.
 * @param prepare Called after the checks and before the first write.
 * @throws {VirstorError} `exists`, `invalid`, `unsupported`, `no-space`:
 *   nothing has changed; nor if `prepare` throws. `failed`: the state on disk
 *   is unknown.
 */
export async function renamePool(
  base: PoolBase,
  to: string,
  prepare: () => Promise<void>,
): Promise<void> {
  const { format, settings, volumes } = base;
  const what = `rename pool "${settings.name}" to "${to}"`;
  if (format.isDense) {
    throw new VirstorError(
      "unsupported",
      `Cannot ${what}: in its format, that of FreeBSD's gvirstor, no change ` +
        "of all labels is atomic",
    );
  }
  assertNewName(to, format.records.map(({ name }) => name), what);
  const [first] = format.records;
  if (first === undefined) return;
  await prepare();
  const renamed = { ...first, name: to };
  await format.setVolumes(withRecord(format.records, renamed));
  // All parts share the object, and read it each time.
  Object.assign(settings, { name: to });
  // They name the volume when it is full.
  for (const { firstWrites, record } of volumes) {
    firstWrites.limits.apply(record);
  }
}
