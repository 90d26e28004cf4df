/**
 * `virstor snapshot remove`: removes snapshots.
 *
 * @module
 */

import { nameOf } from "../control/mod.ts";
import {
  type Environment,
  EXIT_OK,
  type Invocation,
  print,
} from "../terminal/mod.ts";
import { followJob } from "./follow_job.ts";
import { freedText } from "./freed_text.ts";
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
  { operands, flag }: Invocation,
  environment: Environment,
): Promise<number> {
  const stateDirectory = environment.stateDirectory();
  const { pool, snapshots } = await readSnapshots(stateDirectory, operands);
  const request = { snapshots, wait: flag("wait") };
  const answer = await followJob(
    ...[stateDirectory, pool, "removeSnapshots", request] as const,
    { doing: `Removing snapshots from pool "${pool}"`, kind: "free" },
  );
  for (const { volume, snapshot } of snapshots) {
    print(`Removed snapshot "${nameOf(pool, volume, snapshot)}"`);
  }
  print(freedText(pool, answer));
  return EXIT_OK;
}
