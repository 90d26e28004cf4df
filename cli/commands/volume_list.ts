/**
 * `virstor volume list`: lists the volumes of pools.
 *
 * @module
 */

import { nameOf } from "../control/mod.ts";
import {
  type Environment,
  EXIT_OK,
  formatSize,
  type Invocation,
  print,
  printJson,
  textTable,
} from "../terminal/mod.ts";
import { describePools, type ListedVolume } from "./describe_pools.ts";

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
  } else if (volumes.length > 0) print(table(volumes));
  if (error !== undefined) throw error;
  return EXIT_OK;
}

function table(volumes: readonly ListedVolume[]): string {
  // Most volumes have no limits, and then there is no column for them.
  const limits = (["quota", "reserve"] as const).filter((limit) =>
    volumes.some(({ status }) => status[limit] > 0)
  );
  const names = limits.map((limit) => limit === "quota" ? "Quota" : "Reserve");
  return textTable([
    ["Name", "Size", "Referenced", "Unique", ...names, "Snapshots", "Parent"],
    ...volumes.map(({ pool, status }) => [
      nameOf(pool, status.name),
      formatSize(status.size),
      formatSize(status.referencedBytes),
      formatSize(status.uniqueBytes),
      ...limits.map((limit) => formatLimit(status[limit])),
      String(status.snapshots.length),
      status.parent ?? "-",
    ]),
  ]);
}

function formatLimit(bytes: number): string {
  return bytes === 0 ? "-" : formatSize(bytes);
}
