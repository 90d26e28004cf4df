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
import {
  absolutePaths,
  forgetComponents,
  remoteComponents,
} from "../state/mod.ts";

/**
 * Clears the labels of components and removes them from the registry.
 *
 * @param invocation The command line.
 * @param environment The state directory.
 * @returns The exit code.
 * @throws {VirstorError} If a component may not be cleared; then nothing has
 *   changed.
 */
export async function run(
  invocation: Invocation,
  environment: Environment,
): Promise<number> {
  const stateDirectory = environment.stateDirectory();
  const paths = absolutePaths(invocation.operands);
  const cleared = await withProgress(
    "Clearing labels",
    clearLabels(paths, {
      force: invocation.flag("force"),
      remote: remoteComponents(stateDirectory),
    }),
  );
  await forgetComponents(stateDirectory, paths);
  if (invocation.flag("verbose")) {
    for (const { path, name } of cleared) {
      print(`Cleared ${printable(path)}, a component of pool "${name}"`);
    }
  }
  return EXIT_OK;
}
