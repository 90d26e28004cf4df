/**
 * `virstor status`: how pools do.
 *
 * @module
 */

import { printable } from "../../errors.ts";
import type { Environment, Invocation } from "../command.ts";
import type { StatusReport } from "../control_protocol.ts";
import { EXIT_OK } from "../exit_code.ts";
import { print, printJson, withProgress } from "../output.ts";
import { formatSize } from "../size.ts";
import { percent, stateText, statusText } from "../status_text.ts";
import { surveyAll, type SurveyedPool, surveyPool } from "../survey.ts";
import { textTable } from "../text_table.ts";

/**
 * Shows how pools do: the named ones in full, or a line for each known one.
 *
 * @param invocation The command line.
 * @param environment Where the registry is.
 * @returns The exit code.
 * @throws {VirstorError} If a named pool cannot be found or read.
 */
export async function run(
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
  const reports: StatusReport[] = [];
  for (const name of names) {
    reports.push(
      await withProgress(
        `Reading pool "${name}"`,
        surveyPool(stateDirectory, name),
      ),
    );
  }
  if (invocation.flag("json")) {
    printJson(reports.length === 1 ? reports[0] : reports);
  } else {
    print(reports.map(statusText).join("\n\n"));
  }
  return EXIT_OK;
}

function showAll(
  pools: readonly SurveyedPool[],
  invocation: Invocation,
): void {
  if (invocation.flag("json")) {
    printJson(pools.map(({ entry, report, error }) =>
      report ?? {
        name: entry.name,
        pool: null,
        server: null,
        error: { code: error?.code, message: error?.message },
      }
    ));
  } else if (pools.length === 0) {
    print('No pool is known; look for some with "virstor taste DIR"');
  } else if (invocation.flag("verbose")) {
    print(
      pools.map(({ entry, report, error }) =>
        report === undefined
          ? `Pool:  ${printable(entry.name)}\nState: ${error?.message}`
          : statusText(report)
      ).join("\n\n"),
    );
  } else {
    print(shortTable(pools));
  }
}

function shortTable(pools: readonly SurveyedPool[]): string {
  return textTable([
    [
      "Name",
      "State",
      "Virtual",
      "Physical",
      "Used%",
      "Free",
      "Delayed",
      "Components",
    ],
    ...pools.map(({ entry, report, error }) => {
      if (report === undefined) {
        const state = error?.code ?? "";
        return [entry.name, state, "-", "-", "-", "-", "-", "-"];
      }
      const { pool, server } = report;
      return [
        pool.name,
        pool.state === "failed" ? "failed" : stateText(pool, server),
        formatSize(pool.virtualSize),
        formatSize(pool.physicalChunks * pool.chunkSize),
        percent(pool.usedPercent),
        formatSize(pool.freeChunks * pool.chunkSize),
        String(pool.delayed.count),
        String(pool.components.length),
      ];
    }),
  ]);
}
