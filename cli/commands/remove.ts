/**
 * `virstor remove`: removes empty components from a pool.
 *
 * @module
 */

import { openPool } from "../../pool/mod.ts";
import { removeComponents } from "../change_members.ts";
import type { Environment, Invocation } from "../command.ts";
import { callServer } from "../control_client.ts";
import { EXIT_OK } from "../exit_code.ts";
import { absolutePaths, locateComponents } from "../locate.ts";
import { print, withProgress } from "../output.ts";

/**
 * Removes components from a pool, through its server if it is served.
 *
 * @param invocation The command line.
 * @param environment Where the registry is.
 * @returns The exit code.
 * @throws {VirstorError} If it is refused; then nothing has changed.
 */
export async function run(
  invocation: Invocation,
  environment: Environment,
): Promise<number> {
  const [name = "", ...operands] = invocation.operands;
  const { removed } = await withProgress(
    `Removing from pool "${name}"`,
    remove(environment.stateDirectory(), name, absolutePaths(operands)),
  );
  print(
    `Removed ${removed.length} component` +
      `${removed.length === 1 ? "" : "s"} from pool "${name}"`,
  );
  if (invocation.flag("verbose")) removed.forEach((path) => print(path));
  return EXIT_OK;
}

async function remove(
  stateDirectory: string,
  name: string,
  paths: readonly string[],
): Promise<{ removed: string[] }> {
  const served = await callServer(stateDirectory, name, "remove", { paths });
  if (served !== undefined) return served.answer;
  const members = await locateComponents(stateDirectory, name);
  const pool = await openPool(members, { name });
  try {
    return await removeComponents(stateDirectory, pool, { paths });
  } finally {
    await pool.close();
  }
}
