/**
 * `virstor snapshot`: takes snapshots.
 *
 * @module
 */

import { nameOf } from "../../errors.ts";
import {
  type Environment,
  EXIT_OK,
  formatSize,
  type Invocation,
  print,
  printNotices,
  withProgress,
} from "../terminal/mod.ts";
import { callPool } from "./call_pool.ts";
import { readSnapshots } from "./pool_words.ts";

/**
 * Takes snapshots, and warns if the pool has less space free, or the quota of a
 * volume leaves less, than writes to the volumes may need.
 *
 * @param invocation The command line.
 * @param environment The state directory.
 * @returns The exit code.
 * @throws {VirstorError} If the pool refuses; then nothing has changed.
 */
export async function run(
  { operands }: Invocation,
  environment: Environment,
): Promise<number> {
  const stateDirectory = environment.stateDirectory();
  const { pool, snapshots } = await readSnapshots(stateDirectory, operands);
  const { sharedBytes, freeBytes, short } = await withProgress(
    `Taking snapshots in pool "${pool}"`,
    callPool(stateDirectory, pool, "takeSnapshots", { snapshots }),
  );
  for (const { volume, snapshot } of snapshots) {
    print(`Took snapshot "${nameOf(pool, volume, snapshot)}"`);
  }
  if (freeBytes < sharedBytes) {
    printNotices([
      `Pool "${pool}" has ${formatSize(freeBytes)} free and shares ` +
      `${formatSize(sharedBytes)} with the new snapshots: writes there need ` +
      "free chunks; add a component, or remove snapshots in time",
    ]);
  }
  printNotices(
    short.map((one) =>
      `Volume "${nameOf(pool, one.volume)}" may take ` +
      `${formatSize(one.leftBytes)} until it reaches its quota and shares ` +
      `${
        formatSize(one.sharedBytes)
      } with its new snapshot: writes there need ` +
      "chunks; raise the quota, or remove snapshots in time"
    ),
  );
  return EXIT_OK;
}
