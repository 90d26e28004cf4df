/**
 * `virstor stop` and `virstor destroy`: end the serving of pools.
 *
 * @module
 */

import { VirstorError } from "../../errors.ts";
import type { Environment, Invocation } from "../command.ts";
import { callServer } from "../control_client.ts";
import { EXIT_OK } from "../exit_code.ts";
import { print, withProgress } from "../output.ts";

/**
 * Stops served pools, one after the other.
 *
 * @param invocation The command line.
 * @param environment Where the control sockets are.
 * @returns The exit code.
 * @throws {VirstorError} `not-found` for a pool that is not served; `busy`
 *   for one with clients, unless forced.
 */
export async function run(
  invocation: Invocation,
  environment: Environment,
): Promise<number> {
  const stateDirectory = environment.stateDirectory();
  const force = invocation.flag("force");
  for (const name of invocation.operands) {
    const served = await withProgress(
      `Stopping pool "${name}"`,
      callServer(stateDirectory, name, "stop", { force }),
    );
    if (served === undefined) {
      throw new VirstorError(
        "not-found",
        `Cannot stop pool "${name}": it is not served, as far as ` +
          `"${stateDirectory}" tells`,
      );
    }
    if (invocation.flag("verbose")) print(`Stopped pool "${name}"`);
  }
  return EXIT_OK;
}
