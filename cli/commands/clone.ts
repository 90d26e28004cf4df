/**
 * `virstor clone`: makes a volume of a snapshot.
 *
 * @module
 */

import { nameOf } from "../../errors.ts";
import {
  type Environment,
  EXIT_OK,
  type Invocation,
  print,
  UsageError,
} from "../terminal/mod.ts";
import { callPool } from "./call_pool.ts";
import { readNamedVolume, readSnapshot } from "./pool_words.ts";

/**
 * Clones a snapshot.
 *
 * @param invocation The command line.
 * @param environment The state directory.
 * @returns The exit code.
 * @throws {VirstorError} If the pool refuses; then nothing has changed.
 */
export async function run(
  invocation: Invocation,
  environment: Environment,
): Promise<number> {
  const [word = "", newWord = ""] = invocation.operands;
  const stateDirectory = environment.stateDirectory();
  const source = await readSnapshot(stateDirectory, word);
  const target = await readNamedVolume(stateDirectory, newWord);
  const { pool, volume, snapshot } = source;
  if (target.pool !== pool) {
    throw new UsageError(
      `A clone stays in its pool, "${pool}"`,
      'To another pool, "virstor copy" copies the export of a snapshot',
    );
  }
  const to = target.volume;
  const request = { volume, snapshot, to };
  await callPool(stateDirectory, pool, "cloneSnapshot", request);
  const from = nameOf(pool, volume, snapshot);
  print(`Cloned "${from}" as volume "${nameOf(pool, to)}"`);
  return EXIT_OK;
}
