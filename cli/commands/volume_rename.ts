/**
 * `virstor volume rename`: renames a volume.
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
import { callPool } from "./call_pool.ts";
import { readNamedVolume } from "./pool_words.ts";

/**
 * Renames a volume.
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
  const [word = "", operand = ""] = invocation.operands;
  const stateDirectory = environment.stateDirectory();
  const { pool, volume } = await readNamedVolume(stateDirectory, word);
  const prefix = `${pool}/`;
  const to = operand.startsWith(prefix)
    ? operand.slice(prefix.length)
    : operand;
  await callPool(stateDirectory, pool, "renameVolume", { volume, to });
  print(`Renamed volume "${nameOf(pool, volume)}" to "${nameOf(pool, to)}"`);
  return EXIT_OK;
}
