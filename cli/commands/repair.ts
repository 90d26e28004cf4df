/**
 * `virstor repair`: repairs damage in a stopped pool.
 *
 * @module
 */

import { messageOf } from "../../errors.ts";
import type { Finding } from "../../pool/core/mod.ts";
import { repairComponents } from "../../pool/mod.ts";
import {
  type Environment,
  EXIT_DAMAGED,
  EXIT_OK,
  findingText,
  type Invocation,
  isMissing,
  print,
  printJson,
  printNotices,
  UsageError,
  withProgress,
} from "../terminal/mod.ts";
import { refuseServed } from "./refuse_served.ts";
import { openStopped, withComponents } from "../registry/mod.ts";
import { absolutePaths, registeredSize, updatePool } from "../state/mod.ts";

/**
 * Repairs a stopped pool, or shows what would be repaired.
 *
 * @param invocation The command line.
 * @param environment The state directory.
 * @returns 2 if some damage cannot be repaired, else 0.
 * @throws {VirstorError} `busy` if the pool is served; another code if it
 *   cannot be found or read.
 */
export async function run(
  invocation: Invocation,
  environment: Environment,
): Promise<number> {
  const [name = ""] = invocation.operands;
  const stateDirectory = environment.stateDirectory();
  const dryRun = invocation.flag("dry-run");
  await refuseServed("repair", stateDirectory, name);
  const acceptStale = absolutePaths(invocation.values("accept-stale"));
  if (invocation.flag("without-journal")) {
    if (dryRun) {
      throw new UsageError("Option --without-journal changes the pool");
    }
    const pool = { stateDirectory, name, withoutJournal: true };
    await (await openStopped(pool)).close();
  }
  const { repaired, refused, members } = await withProgress(
    `Repairing pool "${name}"`,
    withComponents(
      { stateDirectory, name },
      ({ paths, options }) =>
        repairComponents(paths, { ...options, dryRun, acceptStale }),
      (report) => report.refused.some(isMissing),
    ),
  );
  if (members !== undefined && !dryRun) {
    await forgetOthers(stateDirectory, name, members);
  }
  if (invocation.flag("json")) {
    printJson({ name, dryRun, repaired, refused });
  } else {
    show(name, repaired, refused, dryRun);
  }
  return refused.length > 0 ? EXIT_DAMAGED : EXIT_OK;
}

/** Removes components that the repair has removed from the registry, too. */
async function forgetOthers(
  stateDirectory: string,
  name: string,
  members: readonly string[],
): Promise<void> {
  try {
    await updatePool(stateDirectory, name, (entry) => {
      if (entry === undefined) return Promise.resolve(undefined);
      const components = members.map((path) => ({
        path,
        size: registeredSize(entry, path),
      }));
      return Promise.resolve({ name, id: entry.id, components });
    });
  } catch (error) {
    // An entry too many does no harm: the open leaves the component out.
    printNotices([messageOf(error)]);
  }
}

function show(
  name: string,
  repaired: readonly Finding[],
  refused: readonly Finding[],
  dryRun: boolean,
): void {
  for (const finding of repaired) {
    // A notice means that no data was lost, so its effect says nothing here.
    const isHarmless = finding.severity === "notice";
    const done = isHarmless ? { ...finding, effect: "" } : finding;
    print(findingText(dryRun ? "Would repair" : "Repaired", done));
  }
  for (const finding of refused) print(findingText("Cannot repair", finding));
  if (repaired.length === 0 && refused.length === 0) {
    print(`Pool "${name}" needs no repair`);
  }
}
