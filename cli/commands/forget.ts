/**
 * `virstor forget`: removes a pool, or components that are gone, from the
 * registry. What is on disk stays as it is.
 *
 * @module
 */

import { counted, VirstorError } from "../../errors.ts";
import { findLabel, type RemoteComponents } from "../../pool/mod.ts";
import {
  absolutePaths,
  forgetComponents,
  forgetPool,
  readRegistry,
  type RegistryEntry,
  remoteComponents,
} from "../state/mod.ts";
import {
  type Environment,
  EXIT_OK,
  type Invocation,
  print,
  printJson,
} from "../terminal/mod.ts";
import { refuseServed } from "./refuse_served.ts";

/**
 * Forgets a pool, or some of its components.
 *
 * @param invocation The command line.
 * @param environment The state directory.
 * @returns The exit code.
 * @throws {VirstorError} `not-found` if the registry does not know the pool or a
 *   component; `busy` if the pool is served; `invalid` if a component is still
 *   there. Nothing has changed then.
 */
export async function run(
  invocation: Invocation,
  environment: Environment,
): Promise<number> {
  const [name = "", ...operands] = invocation.operands;
  const stateDirectory = environment.stateDirectory();
  const paths = absolutePaths(operands);
  const entry = await readRegistry(stateDirectory, name);
  if (entry === undefined) {
    throw new VirstorError(
      "not-found",
      `Cannot forget pool "${name}": it is not registered in ` +
        `"${stateDirectory}"`,
    );
  }
  await refuseServed("forget", stateDirectory, name);
  const remote = remoteComponents(stateDirectory);
  for (const path of paths) await refuseMember(entry, path, remote);
  if (paths.length === 0) await forgetPool(stateDirectory, name, entry.id);
  else await forgetComponents(stateDirectory, paths);
  const forgotten = paths.length === 0 ? entry.components : paths;
  if (invocation.flag("json")) {
    printJson({ name, forgotten, isPoolForgotten: paths.length === 0 });
  } else if (paths.length === 0) {
    print(
      `Forgot pool "${name}"; its components stay as they are, and "virstor ` +
        'taste" finds them again',
    );
  } else {
    print(`Forgot ${counted(paths.length, "component")} of pool "${name}"`);
  }
  return EXIT_OK;
}

/** Refuses a path that the registry does not have, or a component that is there. */
async function refuseMember(
  { name, id, components }: RegistryEntry,
  path: string,
  remote: RemoteComponents,
): Promise<void> {
  if (!components.includes(path)) {
    throw new VirstorError(
      "not-found",
      `Cannot forget "${path}": it is not registered as a component of pool ` +
        `"${name}"`,
    );
  }
  try {
    const label = await findLabel(path, { remote });
    const isNative = label.format === "native";
    if ((isNative ? label.poolUuid : String(label.id)) !== id) return;
  } catch (error) {
    if (error instanceof VirstorError) return;
    throw error;
  }
  throw new VirstorError(
    "invalid",
    `Cannot forget "${path}": it is a component of pool "${name}", and it is ` +
      'there; "virstor remove" takes it out of the pool',
  );
}
