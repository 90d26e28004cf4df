/**
 * `virstor volume remove`: removes a volume.
 *
 * @module
 */

import { nameOf, quoted, VirstorError } from "../../errors.ts";
import {
  ask,
  type Environment,
  EXIT_OK,
  formatSize,
  type Invocation,
  print,
  printJson,
  withProgress,
} from "../terminal/mod.ts";
import type { VolumeStatus } from "../../pool/mod.ts";
import { callPool } from "./call_pool.ts";
import { checkDryRun } from "./dry_run.ts";
import { followJob } from "./follow_job.ts";
import { freedText } from "./freed_text.ts";
import { readNamedVolume, type VolumeWord } from "./pool_words.ts";

/**
 * Removes a volume, or shows what that would free.
 *
 * @param invocation The command line.
 * @param environment The state directory.
 * @returns The exit code.
 * @throws {VirstorError} If the pool refuses, or the volume holds data and
 *   nothing confirms the removal; then nothing has changed.
 */
export async function run(
  invocation: Invocation,
  environment: Environment,
): Promise<number> {
  const [word = ""] = invocation.operands;
  checkDryRun(invocation, "volume remove");
  const stateDirectory = environment.stateDirectory();
  const named = await readNamedVolume(stateDirectory, word);
  const { pool, volume } = named;
  const name = nameOf(pool, volume);
  if (!invocation.flag("force")) {
    const status = await find(stateDirectory, named);
    assertRemovable(pool, status, invocation.flag("dry-run"));
    if (invocation.flag("dry-run")) {
      showPlan(invocation.flag("json"), name, status);
      return EXIT_OK;
    }
    if (status.referencedBytes > 0) await confirm(name, status);
  }
  const request = { volume, wait: invocation.flag("wait") };
  const answer = await followJob(
    ...[stateDirectory, pool, "removeVolume", request] as const,
    { doing: `Removing volume "${name}"`, kind: "free" },
  );
  print(`Removed volume "${name}"`);
  print(freedText(pool, answer));
  return EXIT_OK;
}

async function find(
  stateDirectory: string,
  { pool, volume }: VolumeWord,
): Promise<VolumeStatus> {
  const all = await withProgress(
    `Reading pool "${pool}"`,
    callPool(stateDirectory, pool, "listVolumes", null),
  );
  const found = all.find((one) => one.name === volume);
  if (found !== undefined) return found;
  throw new VirstorError(
    "not-found",
    `Cannot remove volume "${
      nameOf(pool, volume)
    }": pool "${pool}" has no such volume`,
  );
}

/** Refuses what the pool would refuse, before the user confirms it. */
function assertRemovable(
  pool: string,
  { number, name, snapshots }: VolumeStatus,
  isDry: boolean,
): void {
  const what = `Cannot remove volume "${nameOf(pool, name)}"`;
  if (number === 0) {
    throw new VirstorError(
      "invalid",
      `${what}: the first volume of pool "${pool}" stays`,
    );
  }
  if (isDry || snapshots.length === 0) return;
  const names = snapshots.map((one) => nameOf(pool, name, one.name));
  throw new VirstorError(
    "exists",
    `${what}: it has the snapshots ${quoted(names)}, remove them first`,
  );
}

async function confirm(
  name: string,
  { referencedBytes }: VolumeStatus,
): Promise<void> {
  const size = formatSize(referencedBytes);
  const answer = await ask(
    `Volume "${name}" holds ${size}, which will be lost. Type its name to ` +
      "remove it: ",
  );
  if (answer === name) return;
  if (answer === undefined) {
    throw new VirstorError(
      "exists",
      `Cannot remove volume "${name}": it holds ${size} of data, -f removes it`,
    );
  }
  throw new VirstorError(
    "cancelled",
    `Cannot remove volume "${name}": its name was not typed, it stays`,
  );
}

function showPlan(isJson: boolean, name: string, status: VolumeStatus): void {
  const { referencedBytes, uniqueBytes, snapshots } = status;
  const names = snapshots.map((one) => one.name);
  if (isJson) {
    return printJson({ name, referencedBytes, uniqueBytes, snapshots: names });
  }
  print(
    `Volume "${name}" holds ${
      formatSize(referencedBytes)
    }; its removal would ` +
      `free ${formatSize(uniqueBytes)}`,
  );
  if (names.length > 0) {
    print(`Its snapshots have to be removed first: ${names.join(", ")}`);
  }
}
