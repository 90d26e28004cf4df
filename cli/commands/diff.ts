/**
 * `virstor diff`: shows what has changed since a snapshot.
 *
 * @module
 */

import { nameOf } from "../../errors.ts";
import {
  type Environment,
  EXIT_OK,
  type Invocation,
  print,
  printJson,
  textTable,
  UsageError,
  withProgress,
} from "../terminal/mod.ts";
import { callPool } from "./call_pool.ts";
import {
  readSnapshot,
  readVolume,
  type SnapshotWord,
  type VolumeWord,
} from "./pool_words.ts";

/**
 * Shows the ranges that have changed.
 *
 * @param invocation The command line.
 * @param environment The state directory.
 * @returns The exit code.
 * @throws {VirstorError} If the pool or a snapshot does not exist.
 */
export async function run(
  invocation: Invocation,
  environment: Environment,
): Promise<number> {
  const [word = "", newerWord, extra] = invocation.operands;
  if (extra !== undefined) {
    throw new UsageError(
      `Command "diff" takes no argument "${extra}"`,
      'Try "virstor diff --help"',
    );
  }
  const stateDirectory = environment.stateDirectory();
  const from = await readSnapshot(stateDirectory, word);
  const to = await readNewer(stateDirectory, from, newerWord);
  const { pool, volume } = from;
  const ranges = await withProgress(
    `Comparing "${nameOf(pool, volume)}"`,
    callPool(stateDirectory, pool, "diff", { volume, from: from.snapshot, to }),
  );
  if (invocation.flag("json")) {
    printJson(
      ranges.map(({ offset, length, isHole }) => ({
        offset,
        length,
        hole: isHole,
      })),
    );
  } else if (ranges.length === 0) print("Nothing has changed");
  else {
    print(textTable([
      ["Offset", "Length", "Now"],
      ...ranges.map(({ offset, length, isHole }) => [
        String(offset),
        String(length),
        isHole ? "hole" : "data",
      ]),
    ]));
  }
  return EXIT_OK;
}

/** The name of the newer snapshot; empty for the volume itself. */
async function readNewer(
  stateDirectory: string,
  from: SnapshotWord,
  word: string | undefined,
): Promise<string> {
  if (word === undefined) return "";
  const isSnapshot = word.includes("@");
  const to: VolumeWord & { snapshot?: string } = isSnapshot
    ? await readSnapshot(stateDirectory, word)
    : await readVolume(stateDirectory, word);
  if (to.pool === from.pool && to.volume === from.volume) {
    return to.snapshot ?? "";
  }
  throw new UsageError(
    `"${word}" is not of volume "${nameOf(from.pool, from.volume)}"`,
    "Compare a volume with its own snapshots",
  );
}
