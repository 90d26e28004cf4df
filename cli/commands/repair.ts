/**
 * `virstor repair`: repairs what is damaged in a stopped pool.
 *
 * @module
 */

import { VirstorError } from "../../errors.ts";
import { type Finding, repairComponents } from "../../pool/mod.ts";
import type { Environment, Invocation } from "../command.ts";
import { callServer } from "../control_client.ts";
import { EXIT_DAMAGED, EXIT_OK } from "../exit_code.ts";
import { findingText } from "../finding_text.ts";
import { locateComponents } from "../locate.ts";
import { print, printJson, withProgress } from "../output.ts";

/**
 * Repairs a stopped pool, or tells what would be repaired.
 *
 * @param invocation The command line.
 * @param environment Where the registry is.
 * @returns 2 if something cannot be repaired, else 0.
 * @throws {VirstorError} `busy` if the pool is served; if it cannot be found or
 *   read.
 */
export async function run(
  invocation: Invocation,
  environment: Environment,
): Promise<number> {
  const [name = ""] = invocation.operands;
  const stateDirectory = environment.stateDirectory();
  const dryRun = invocation.flag("dry-run");
  await refuseServed(stateDirectory, name);
  const paths = await locateComponents(stateDirectory, name);
  const { repaired, refused } = await withProgress(
    `Repairing pool "${name}"`,
    repairComponents(paths, { name, dryRun }),
  );
  if (invocation.flag("json")) {
    printJson({ name, dryRun, repaired, refused });
  } else {
    show(name, repaired, refused, dryRun);
  }
  return refused.length > 0 ? EXIT_DAMAGED : EXIT_OK;
}

async function refuseServed(
  stateDirectory: string,
  name: string,
): Promise<void> {
  const served = await callServer(stateDirectory, name, "status", null);
  if (!served?.answer.server) return;
  throw new VirstorError(
    "busy",
    `Cannot repair pool "${name}": process ${served.answer.server.pid} ` +
      "serves it, stop it first",
  );
}

function show(
  name: string,
  repaired: readonly Finding[],
  refused: readonly Finding[],
  dryRun: boolean,
): void {
  for (const finding of repaired) {
    // What it means for the data is over, or what the next open would do.
    const done = { ...finding, effect: "" };
    print(findingText(dryRun ? "Would repair" : "Repaired", done));
  }
  for (const finding of refused) print(findingText("Cannot repair", finding));
  if (repaired.length === 0 && refused.length === 0) {
    print(`Pool "${name}" needs no repair`);
  }
}
