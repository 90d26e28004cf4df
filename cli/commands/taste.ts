/**
 * `virstor taste`: looks for pools and registers them.
 *
 * @module
 */

import { exists } from "@std/fs";
import { counted, printable, VirstorError } from "../../errors.ts";
import { taste, type TastedPool, type TasteReport } from "../../pool/mod.ts";
import type { Environment, Invocation } from "../command.ts";
import { EXIT_OK } from "../exit_code.ts";
import { knownSizeText } from "../known_component.ts";
import { absolutePaths } from "../locate.ts";
import { print, printJson, printNotices, withProgress } from "../output.ts";
import { passedOverNotices } from "../passed_over.ts";
import { readRegistry, registerPool } from "../registry.ts";

/**
 * Looks for components and registers the pools that they make. A pool of
 * which some components are elsewhere is registered with what is known.
 *
 * @param invocation The command line.
 * @param environment Where the registry is.
 * @returns The exit code.
 * @throws {VirstorError} `not-found` if there is no component among the
 *   files; `exists` if two pools have the same name.
 */
export async function run(
  invocation: Invocation,
  environment: Environment,
): Promise<number> {
  const stateDirectory = environment.stateDirectory();
  const paths = absolutePaths(invocation.operands);
  const report = await withKnownSizes(
    stateDirectory,
    await withProgress("Looking for pools", taste(paths)),
  );
  const pools: TastedPool[] = [];
  refuseTwins(report);
  for (const pool of report.pools) {
    const whole = await withKnown(stateDirectory, pool);
    await registerPool(stateDirectory, whole);
    pools.push(whole);
  }
  if (invocation.flag("json")) {
    printJson({ pools, rejected: report.rejected });
  } else {
    pools.forEach((pool) => print(poolText(pool)));
    printNotices(passedOverNotices(report.rejected));
  }
  if (pools.length === 0) {
    throw new VirstorError(
      "not-found",
      `No pool found in ${paths.map((path) => `"${path}"`).join(", ")}`,
    );
  }
  return EXIT_OK;
}

/** Files without a label of which the registry knows that they were cut. */
async function withKnownSizes(
  stateDirectory: string,
  report: TasteReport,
): Promise<TasteReport> {
  const rejected = [];
  for (const { path, reason } of report.rejected) {
    const known = await knownSizeText(stateDirectory, path);
    rejected.push({ path, reason: known === "" ? reason : known });
  }
  return { ...report, rejected };
}

/** The registry finds pools by name: two of one name cannot both be in it. */
function refuseTwins({ pools }: TasteReport): void {
  for (const pool of pools) {
    const twin = pools.find(({ name, id }) =>
      name === pool.name && id !== pool.id
    );
    if (twin === undefined) continue;
    throw new VirstorError(
      "exists",
      `Cannot register pool "${pool.name}": "${pool.components[0]?.path}" ` +
        `and "${twin.components[0]?.path}" belong to different pools of ` +
        `this name; taste the files of one of them only`,
    );
  }
}

/** Looks for what is missing where the registry saw it last. */
async function withKnown(
  stateDirectory: string,
  pool: TastedPool,
): Promise<TastedPool> {
  if (pool.missing.length === 0) return pool;
  const entry = await readRegistry(stateDirectory, pool.name);
  if (entry?.id !== pool.id) return pool;
  const paths = new Set(pool.components.map(({ path }) => path));
  for (const path of entry.components) {
    if (await exists(path)) paths.add(path);
  }
  const { pools } = await taste([...paths]);
  return pools.find(({ name, id }) => name === pool.name && id === pool.id) ??
    pool;
}

function poolText({ name, components, count, missing }: TastedPool): string {
  const lacks = missing.length === 0
    ? ""
    : `; component ${missing.join(", ")} missing`;
  const all = counted(count, "component");
  return `Pool "${printable(name)}": ${components.length} of ${all}${lacks}`;
}
