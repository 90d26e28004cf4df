/**
 * `virstor volume flatten`: makes a clone independent of its parent.
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
import { readNamedVolume } from "./pool_words.ts";

/**
 * Flattens a clone.
 *
 * @param invocation The command line.
 * @param environment The state directory.
 * @returns The exit code.
 * @throws {VirstorError} If the pool refuses, or has no space for the copies.
 */
export async function run(
  invocation: Invocation,
  environment: Environment,
): Promise<number> {
  const [word = ""] = invocation.operands;
  const stateDirectory = environment.stateDirectory();
  const { pool, volume } = await readNamedVolume(stateDirectory, word);
  const name = nameOf(pool, volume);
  await followJob(stateDirectory, pool, "flattenVolume", { volume }, {
    doing: `Flattening "${name}"`,
    kind: "flatten",
  });
  print(`Flattened volume "${name}"`);
  return EXIT_OK;
}
