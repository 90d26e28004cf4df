/**
 * `virstor clear`: clears labels.
 *
 * @module
 */

import { printable } from "../../errors.ts";
import { clearLabels } from "../../pool/label/mod.ts";
import {
  type Environment,
  EXIT_OK,
  type Invocation,
  print,
  withProgress,
} from "../terminal/mod.ts";
import { absolutePaths, forgetComponents } from "../state/mod.ts";

/**
 * Clears the labels of components and forgets them.
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
  const stateDirectory = environment.stateDirectory();
  const paths = absolutePaths(invocation.operands);
  const cleared = await withProgress(
    "Clearing labels",
    clearLabels(paths, { force: invocation.flag("force") }),
  );
  await forgetComponents(stateDirectory, paths);
  if (invocation.flag("verbose")) {
    for (const { path, name } of cleared) {
      print(`Cleared ${printable(path)}, a component of pool "${name}"`);
    }
  }
  return EXIT_OK;
}
