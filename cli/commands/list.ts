/**
 * `virstor list`: lists the known pools.
 *
 * @module
 */

import {
  type Environment,
  EXIT_OK,
  formatSize,
  type Invocation,
  print,
  printJson,
  textPairs,
  withProgress,
} from "../terminal/mod.ts";
import { surveyedState } from "./pool_state.ts";
import { surveyAll, type SurveyedPool } from "./survey.ts";

/**
 * Lists the known pools, or the named ones.
 *
 * @param invocation The command line.
 * @param environment The state directory.
 * @returns The exit code.
 * @throws {VirstorError} `not-found` if a named pool is not known.
 */
export async function run(
  invocation: Invocation,
  environment: Environment,
): Promise<number> {
  const pools = await withProgress(
    "Reading",
    surveyAll(environment.stateDirectory(), invocation.operands),
  );
  if (invocation.flag("json")) {
    printJson(pools.map(listed));
  } else if (pools.length === 0) {
    print('No pool is known; look for some with "virstor taste DIR"');
  } else {
    print(pools.map((pool) => poolText(listed(pool))).join("\n\n"));
  }
  return EXIT_OK;
}

/** A pool as `list` shows it; `null` where a value is not known. */
interface ListedPool {
  readonly name: string;
  readonly id: string;
  readonly state: string;
  readonly uri: string | null;
  readonly format: string | null;
  readonly virtualSize: number | null;
  readonly chunkSize: number | null;
  readonly components: readonly string[];
  readonly error: string | null;
}

function listed(surveyed: SurveyedPool): ListedPool {
  const { name, entry, report, error } = surveyed;
  const { pool, server } = report ?? { pool: null, server: null };
  return {
    name,
    id: pool?.id ?? entry?.id ?? "",
    state: surveyedState(surveyed).state,
    uri: server?.uri ?? null,
    format: pool?.format ?? null,
    virtualSize: pool?.virtualSize ?? null,
    chunkSize: pool?.chunkSize ?? null,
    components: error === undefined && pool !== null
      ? pool.components.map(({ path }) => path)
      : entry?.components ?? [],
    error: error?.message ?? null,
  };
}

function poolText(pool: ListedPool): string {
  const pairs: [string, string][] = [
    ["Pool", pool.name],
    ["Id", pool.id],
    ["State", pool.state],
  ];
  if (pool.error !== null) pairs.push(["Reason", pool.error]);
  if (pool.uri !== null) pairs.push(["URI", pool.uri]);
  if (pool.format !== null) pairs.push(["Format", pool.format]);
  if (pool.virtualSize !== null && pool.chunkSize !== null) {
    pairs.push(
      ["Virtual size", formatSize(pool.virtualSize)],
      ["Chunk size", formatSize(pool.chunkSize)],
    );
  }
  pool.components.forEach((path, index) =>
    pairs.push([`Component ${index}`, path])
  );
  return textPairs(pairs);
}
