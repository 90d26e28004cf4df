/**
 * `virstor snapshot remove`: removes snapshots.
 *
 * @module
 */

import { nameOf, quoted } from "../../errors.ts";
import type { SnapshotRemovalPlan } from "../../pool/mod.ts";
import {
  type Environment,
  EXIT_OK,
  formatSize,
  type Invocation,
  print,
  printJson,
  withProgress,
} from "../terminal/mod.ts";
import { callPool } from "./call_pool.ts";
import { checkDryRun } from "./dry_run.ts";
import { followJob } from "./follow_job.ts";
import { freedText } from "./freed_text.ts";
import { readSnapshots } from "./pool_words.ts";

/**
 * Removes snapshots, or shows what that would free.
 *
 * @param invocation The command line.
 * @param environment The state directory.
 * @returns The exit code.
 * @throws {VirstorError} If the pool refuses.
 */
export async function run(
  invocation: Invocation,
  environment: Environment,
): Promise<number> {
  const { operands, flag } = invocation;
  checkDryRun(invocation, "snapshot remove");
  const stateDirectory = environment.stateDirectory();
  const { pool, snapshots } = await readSnapshots(stateDirectory, operands);
  if (flag("dry-run")) {
    const plan = await withProgress(
      `Reading pool "${pool}"`,
      callPool(stateDirectory, pool, "planRemoveSnapshots", { snapshots }),
    );
    showPlan(flag("json"), pool, plan);
    return EXIT_OK;
  }
  const request = { snapshots, wait: flag("wait") };
  const answer = await followJob(
    ...[stateDirectory, pool, "removeSnapshots", request] as const,
    { doing: `Removing snapshots from pool "${pool}"`, kind: "free" },
  );
  for (const { volume, snapshot } of snapshots) {
    print(`Removed snapshot "${nameOf(pool, volume, snapshot)}"`);
  }
  print(freedText(pool, answer));
  return EXIT_OK;
}

function showPlan(
  isJson: boolean,
  pool: string,
  { snapshots, freedBytes }: SnapshotRemovalPlan,
): void {
  const named = snapshots.map((one) => ({
    name: nameOf(pool, one.volume, one.name),
    referencedBytes: one.referencedBytes,
    uniqueBytes: one.uniqueBytes,
    clones: one.clones.map((clone) => nameOf(pool, clone)),
  }));
  if (isJson) return printJson({ snapshots: named, freedBytes });
  for (const { name, referencedBytes, uniqueBytes, clones } of named) {
    print(
      `Snapshot "${name}" sees ${formatSize(referencedBytes)}; its removal ` +
        `alone would free ${formatSize(uniqueBytes)}`,
    );
    if (clones.length === 0) continue;
    print(
      `Its clones have to be flattened or removed first: ${quoted(clones)}`,
    );
  }
  if (named.length === 1) return;
  print(`The removal of all would free ${formatSize(freedBytes)}`);
}
