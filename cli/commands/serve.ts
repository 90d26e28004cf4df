/**
 * `virstor serve`: serves pools.
 *
 * @module
 */

import { openWriteGate } from "../../device/linux/mod.ts";
import {
  type Environment,
  type Invocation,
  queueErrors,
  setLogStyle,
  UsageError,
} from "../terminal/mod.ts";
import { VirstorError } from "../../errors.ts";
import { absolutePaths } from "../state/mod.ts";
import { assignComponents } from "../registry/mod.ts";
import {
  logStyleOf,
  poolOptionsOf,
  servePools,
  serverSettingsOf,
} from "../serve/mod.ts";

/** Its descriptor. */
const STANDARD_ERROR = 2;

/**
 * Serves pools until they are stopped.
 *
 * @param invocation The command line.
 * @param environment The state directory.
 * @returns The exit code.
 * @throws {VirstorError} If a pool cannot be opened or served.
 */
export async function run(
  invocation: Invocation,
  environment: Environment,
): Promise<number> {
  const names = invocation.operands;
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) {
    throw new UsageError(`Pool "${twice}" is named twice`);
  }
  const settings = serverSettingsOf(invocation);
  const poolOptions = poolOptionsOf(invocation);
  setLogStyle(logStyleOf(invocation));
  const hasRoom = openWriteGate(STANDARD_ERROR);
  if (hasRoom !== undefined) queueErrors(hasRoom);
  const stateDirectory = environment.stateDirectory();
  const given = await assignComponents(
    names,
    absolutePaths(invocation.values("component")),
    stateDirectory,
  );
  try {
    return await servePools({
      stateDirectory,
      pools: names.map((name) => ({
        name,
        named: given.get(name),
      })),
      poolOptions,
      settings,
    });
  } catch (error) {
    if (!(error instanceof VirstorError) || error.code !== "read-only") {
      throw error;
    }
    throw new VirstorError(
      error.code,
      `${error.message}; make it writable, or serve the pool with --read-only`,
      { cause: error },
    );
  }
}
