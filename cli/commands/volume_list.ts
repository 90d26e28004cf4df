/**
 * `virstor volume list`: lists the volumes of pools.
 *
 * @module
 */

import {
  type Environment,
  EXIT_OK,
  type Invocation,
  print,
  printJson,
} from "../terminal/mod.ts";
import { describePools } from "./describe_pools.ts";
import { volumeTable } from "./volume_table.ts";

/**
 * Lists volumes.
 *
 * @param invocation The command line.
 * @param environment The state directory.
 * @returns The exit code.
 * @throws {VirstorError} If a pool cannot be read.
 */
export async function run(
  invocation: Invocation,
  environment: Environment,
): Promise<number> {
  const { volumes, error } = await describePools(
    environment.stateDirectory(),
    invocation.operands,
  );
  if (invocation.flag("json")) {
    printJson(volumes.map(({ pool, status }) => ({ pool, ...status })));
  } else if (volumes.length > 0) print(volumeTable(volumes));
  if (error !== undefined) throw error;
  return EXIT_OK;
}
