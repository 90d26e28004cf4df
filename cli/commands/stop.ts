/**
 * `virstor stop` and `virstor destroy`: stop serving pools.
 *
 * @module
 */

import { VirstorError } from "../../errors.ts";
import {
  type Environment,
  EXIT_CODES,
  EXIT_OK,
  type Invocation,
  print,
  printError,
  withProgress,
} from "../terminal/mod.ts";
import { callServer } from "../control/mod.ts";

/**
 * Stops served pools, one after the other. Continues after a failure.
 *
 * @param invocation The command line.
 * @param environment The state directory.
 * @returns The exit code of the first failure: `not-found` for a pool that is
 *   not served, `busy` for a pool with clients, unless forced, `failed` or `io`
 *   for a pool that was stopped with writes that are not durable.
 */
export async function run(
  invocation: Invocation,
  environment: Environment,
): Promise<number> {
  const stateDirectory = environment.stateDirectory();
  const force = invocation.flag("force");
  let code = EXIT_OK;
  for (const name of invocation.operands) {
    try {
      await stop(stateDirectory, name, force);
      if (invocation.flag("verbose")) print(`Stopped pool "${name}"`);
    } catch (error) {
      const isAlone = invocation.operands.length === 1;
      if (isAlone || !(error instanceof VirstorError)) throw error;
      // The remaining pools are stopped all the same.
      printError(`virstor: ${error.message}`);
      if (code === EXIT_OK) code = EXIT_CODES[error.code];
    }
  }
  return code;
}

async function stop(
  stateDirectory: string,
  name: string,
  force: boolean,
): Promise<void> {
  const reply = await withProgress(
    `Stopping pool "${name}"`,
    callServer(stateDirectory, name, "stop", { force }),
  );
  if (reply !== undefined) return;
  throw new VirstorError(
    "not-found",
    `Cannot stop pool "${name}": no process serves it under state directory ` +
      `"${stateDirectory}"; if one does under another, name that with ` +
      "--state-dir",
  );
}
