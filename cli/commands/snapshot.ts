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
 * Takes snapshots, and warns if the pool has less space free than writes to the
 * volumes may need.
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
  const { sharedBytes, freeBytes } = await withProgress(
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
  return EXIT_OK;
}
