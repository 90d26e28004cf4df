/**
 * `virstor status`: shows the state of pools.
 *
 * @module
 */

import { printable } from "../../errors.ts";
import type { PoolStatus } from "../../pool/mod.ts";
import {
  type Environment,
  EXIT_OK,
  formatSize,
  type Invocation,
  print,
  printError,
  printJson,
  textTable,
  withProgress,
} from "../terminal/mod.ts";
import { stateWords, surveyedState } from "./pool_state.ts";
import { percent, statusText } from "./status_text.ts";
import { healthOf, healthText } from "./verdict.ts";
import { surveyAll, type SurveyedPool, surveyPool } from "./survey.ts";

/**
 * Shows the state of pools: the named ones in full, or a line for each known
 * one.
 *
 * @param invocation The command line.
 * @param environment The state directory.
 * @returns The exit code.
 * @throws {VirstorError} If a named pool cannot be found or read.
 */
export async function run(
  invocation: Invocation,
  environment: Environment,
): Promise<number> {
  if (!invocation.flag("watch")) return await show(invocation, environment);
  const { watch } = await import("./watch.ts");
  return await watch(() => show(invocation, environment));
}

async function show(
  invocation: Invocation,
  environment: Environment,
): Promise<number> {
  const names = invocation.operands;
  const stateDirectory = environment.stateDirectory();
  if (names.length === 0) {
    const pools = await withProgress("Reading", surveyAll(stateDirectory));
    showAll(pools, invocation);
    return EXIT_OK;
  }
  const pools: SurveyedPool[] = [];
  for (const name of names) {
    pools.push(
      await withProgress(
        `Reading pool "${name}"`,
        surveyPool(stateDirectory, name),
      ),
    );
  }
  if (invocation.flag("json")) {
    const values = pools.map(jsonOf);
    printJson(values.length === 1 ? values[0] : values);
  } else {
    const texts: string[] = [];
    for (const one of pools) {
      if (one.report === undefined) continue;
      const text = textOf(one);
      // That takes a look at every chunk: too much to be repeated.
      const isShort = invocation.flag("watch") || !hasVolumes(one);
      if (isShort) texts.push(text);
      else {
        const { volumesText } = await import("./volume_table.ts");
        texts.push(text + await volumesText(stateDirectory, one.name));
      }
    }
    if (texts.length > 0) print(texts.join("\n\n"));
  }
  const errors = pools.flatMap(({ error }) => error ?? []);
  const [first, ...more] = errors;
  for (const { message } of more.toReversed()) {
    printError(`virstor: ${message}`);
  }
  if (first !== undefined) throw first;
  return EXIT_OK;
}

/** Whether there is more than the first volume. */
function hasVolumes({ report, error }: SurveyedPool): boolean {
  const { volumes = [] } = report?.pool ?? {};
  return error === undefined &&
    (volumes.length > 1 || volumes.some((one) => one.snapshots.length > 0));
}

/** The status of a pool as JSON, under the names that scripts know. */
function poolJson(
  { fullTimeoutSeconds, counters, ...rest }: PoolStatus,
): Record<string, unknown> {
  const { bytesRead, bytesWritten, ...counts } = counters;
  return {
    ...rest,
    fullTimeout: fullTimeoutSeconds,
    counters: { ...counts, readBytes: bytesRead, writtenBytes: bytesWritten },
  };
}

/** The JSON of a pool. */
function jsonOf(surveyed: SurveyedPool): Record<string, unknown> {
  const { name, report, error } = surveyed;
  const pool = report === undefined ? null : poolJson(report.pool);
  const server = report?.server ?? null;
  const state = surveyedState(surveyed);
  const health = healthOf(state, report?.pool);
  const value = { name, health, ...state, pool, server };
  return error === undefined
    ? value
    : { ...value, error: { code: error.code, message: error.message } };
}

/** The text of a pool. */
function textOf(surveyed: SurveyedPool): string {
  const { name, report } = surveyed;
  const state = surveyedState(surveyed);
  return report === undefined
    ? `Pool:   ${printable(name)}\n` +
      `Health: ${healthText(healthOf(state, undefined))}\n` +
      `State:  ${stateWords(state)}: ${state.reason}`
    : statusText(report, state);
}

function showAll(
  pools: readonly SurveyedPool[],
  invocation: Invocation,
): void {
  if (invocation.flag("json")) {
    printJson(pools.map(jsonOf));
  } else if (pools.length === 0) {
    print('No pool is known; look for some with "virstor taste DIR"');
  } else if (invocation.flag("verbose")) {
    print(pools.map(textOf).join("\n\n"));
  } else {
    print(shortTable(pools));
  }
}

function shortTable(pools: readonly SurveyedPool[]): string {
  return textTable([
    [
      "Name",
      "Health",
      "State",
      "Virtual",
      "Physical",
      "Used%",
      "Free",
      "Delayed",
      "Components",
    ],
    ...pools.map((surveyed) => {
      const { name, report } = surveyed;
      const found = surveyedState(surveyed);
      const { verdict } = healthOf(found, report?.pool);
      const state = stateWords(found);
      if (report === undefined) {
        return [name, verdict, state, "-", "-", "-", "-", "-", "-"];
      }
      const { pool } = report;
      const count = pool.components.length;
      const all = count + pool.missing.length;
      return [
        name,
        verdict,
        state,
        formatSize(pool.virtualSize),
        formatSize(pool.physicalChunks * pool.chunkSize),
        percent(pool.usedPercent),
        formatSize(pool.freeChunks * pool.chunkSize),
        String(pool.delayed.count),
        count === all ? String(count) : `${count} of ${all}`,
      ];
    }),
  ]);
}
