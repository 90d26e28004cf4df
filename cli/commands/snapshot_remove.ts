/**
 * `virstor snapshot remove`: removes snapshots.
 *
 * @module
 */

import { nameOf } from "../control/mod.ts";
import {
  type Environment,
  EXIT_OK,
  formatSize,
  type Invocation,
  print,
  withProgress,
} from "../terminal/mod.ts";
import { callPool } from "./call_pool.ts";
import { readSnapshots } from "./pool_words.ts";

/**
 * Removes snapshots.
 *
 * @param invocation The command line.
 * @param environment The state directory.
 * @returns The exit code.
 * @throws {VirstorError} If the pool refuses.
 */
export async function run(
  { operands }: Invocation,
  environment: Environment,
): Promise<number> {
  const stateDirectory = environment.stateDirectory();
  const { pool, snapshots } = await readSnapshots(stateDirectory, operands);
  const { freedChunks, chunkSize } = await withProgress(
    `Removing snapshots from pool "${pool}"`,
    callPool(stateDirectory, pool, "removeSnapshots", { snapshots }),
  );
  for (const { volume, snapshot } of snapshots) {
    print(`Removed snapshot "${nameOf(pool, volume, snapshot)}"`);
  }
  print(`Freed ${formatSize(freedChunks * chunkSize)}`);
  return EXIT_OK;
}
