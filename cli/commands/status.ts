/**
 * `virstor status`: shows the state of pools.
 *
 * @module
 */

import { printable } from "../../errors.ts";
import type {
  PoolStatus,
  VolumeStatus,
  VolumeSummary,
} from "../../pool/mod.ts";
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
    if (invocation.flag("json")) {
      printJson(await describeAll(invocation, stateDirectory, pools));
    } else showAll(pools, invocation);
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
    const values = await describeAll(invocation, stateDirectory, pools);
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
        const { volumesOf, volumesText } = await import("./volume_table.ts");
        const volumes = await volumesOf(stateDirectory, one.name);
        texts.push(text + volumesText(one.name, volumes));
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

/** Whether there is more than a first volume without limits. */
function hasVolumes({ report, error }: SurveyedPool): boolean {
  const { volumes = [] } = report?.pool ?? {};
  return error === undefined && (
    volumes.length > 1 ||
    volumes.some(({ snapshots, quota, reserve }) =>
      snapshots.length > 0 || quota > 0 || reserve > 0
    )
  );
}

/** The JSON of pools. */
async function describeAll(
  invocation: Invocation,
  stateDirectory: string,
  pools: readonly SurveyedPool[],
): Promise<Record<string, unknown>[]> {
  const { volumesOf } = await import("./volume_table.ts");
  const values: Record<string, unknown>[] = [];
  for (const one of pools) {
    const isKnown = one.report !== undefined && one.error === undefined;
    // That takes a look at every chunk: too much to be repeated.
    const volumes = isKnown && !invocation.flag("watch")
      ? await volumesOf(stateDirectory, one.name)
      : undefined;
    values.push(jsonOf(one, volumes));
  }
  return values;
}

/** The status of a pool as JSON, under the names that scripts know. */
function poolJson(
  { counters, volumes, ...rest }: PoolStatus,
  described: readonly VolumeStatus[] | undefined,
): Record<string, unknown> {
  const { bytesRead, bytesWritten, ...counts } = counters;
  return {
    ...rest,
    volumes: described ?? volumes.map(uncounted),
    counters: { ...counts, readBytes: bytesRead, writtenBytes: bytesWritten },
  };
}

/** A volume with the same fields as if its chunks were counted. */
function uncounted(volume: VolumeSummary): Record<string, unknown> {
  const unknown = { referencedBytes: null, uniqueBytes: null };
  const snapshots = volume.snapshots.map((one) => ({ ...one, ...unknown }));
  return { ...volume, ...unknown, snapshots };
}

/** The JSON of a pool. */
function jsonOf(
  surveyed: SurveyedPool,
  volumes: readonly VolumeStatus[] | undefined,
): Record<string, unknown> {
  const { name, report, error } = surveyed;
  const pool = report === undefined ? null : poolJson(report.pool, volumes);
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
  if (pools.length === 0) {
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
