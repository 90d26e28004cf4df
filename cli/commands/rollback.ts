/**
 * `virstor rollback`: makes a volume what it was at a snapshot.
 *
 * @module
 */

import { nameOf } from "../../errors.ts";
import {
  type Environment,
  EXIT_OK,
  type Invocation,
  print,
} from "../terminal/mod.ts";
import { followJob } from "./follow_job.ts";
import { readSnapshot } from "./pool_words.ts";

/**
 * Rolls a volume back.
 *
 * @param invocation The command line.
 * @param environment The state directory.
 * @returns The exit code.
 * @throws {VirstorError} If the pool or its server refuses; then nothing has
 *   changed.
 */
export async function run(
  invocation: Invocation,
  environment: Environment,
): Promise<number> {
  const [word = ""] = invocation.operands;
  const stateDirectory = environment.stateDirectory();
  const named = await readSnapshot(stateDirectory, word);
  const { pool, volume, snapshot } = named;
  const request = {
    volume,
    snapshot,
    removesNewer: invocation.flag("remove-newer"),
    force: invocation.flag("force"),
  };
  const name = nameOf(pool, volume);
  await followJob(stateDirectory, pool, "rollback", request, {
    doing: `Rolling "${name}" back`,
    kind: "rollback",
  });
  print(`Rolled "${name}" back to "${nameOf(pool, volume, snapshot)}"`);
  return EXIT_OK;
}
