/**
 * `virstor volume create`: creates a volume.
 *
 * @module
 */

import { nameOf } from "../../errors.ts";
import {
  type Environment,
  exactSize,
  EXIT_OK,
  type Invocation,
  parseSize,
  print,
  UsageError,
  withProgress,
} from "../terminal/mod.ts";
import { callPool } from "./call_pool.ts";
import { readNamedVolume } from "./pool_words.ts";

/**
 * Creates a volume.
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
  const [word = ""] = invocation.operands;
  const text = invocation.value("size");
  if (text === undefined) {
    throw new UsageError(
      'Command "volume create" needs --size',
      "Usage: virstor volume create -s SIZE POOL/VOLUME",
    );
  }
  const wanted = parseSize(text, "volume size");
  const stateDirectory = environment.stateDirectory();
  const { pool, volume } = await readNamedVolume(stateDirectory, word);
  const name = nameOf(pool, volume);
  const { size } = await withProgress(
    `Creating volume "${name}"`,
    callPool(stateDirectory, pool, "createVolume", { volume, size: wanted }),
  );
  print(`Created volume "${name}" of ${exactSize(size)}`);
  return EXIT_OK;
}
