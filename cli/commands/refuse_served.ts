/**
 * Refuses what can only be done to a stopped pool.
 *
 * @module
 */

import { VirstorError } from "../../errors.ts";
import { callServer } from "../control/mod.ts";

/**
 * Refuses a command for a served pool.
 *
 * @param doing What the command does, as in `forget`.
 * @param stateDirectory The state directory.
 * @param name The pool's name.
 * @throws {VirstorError} `busy` if a process serves the pool.
 */
export async function refuseServed(
  doing: string,
  stateDirectory: string,
  name: string,
): Promise<void> {
  const reply = await callServer(stateDirectory, name, "status", null);
  if (reply === undefined) return;
  throw new VirstorError(
    "busy",
    `Cannot ${doing} pool "${name}": process ${reply.answer.server?.pid} ` +
      "serves it, stop it first",
  );
}
