/**
 * `virstor snapshot list`: lists snapshots.
 *
 * @module
 */

import { nameOf, VirstorError } from "../../errors.ts";
import {
  type Environment,
  EXIT_OK,
  formatSize,
  type Invocation,
  print,
  printJson,
  textTable,
} from "../terminal/mod.ts";
import { describePools, type ListedVolume } from "./describe_pools.ts";
import { readVolume, type VolumeWord } from "./pool_words.ts";

/**
 * Lists the snapshots of pools or volumes.
 *
 * @param invocation The command line.
 * @param environment The state directory.
 * @returns The exit code.
 * @throws {VirstorError} If a pool cannot be read, or has no such volume.
 */
export async function run(
  invocation: Invocation,
  environment: Environment,
): Promise<number> {
  const stateDirectory = environment.stateDirectory();
  const words = await Promise.all(
    invocation.operands.map((word) => readWanted(stateDirectory, word)),
  );
  const names = words.map(({ pool }) => pool);
  const { volumes, error } = await describePools(stateDirectory, names);
  const chosen = volumes.filter(({ pool, status }) =>
    words.length === 0 ||
    words.some((word) => isWanted(word, pool, status.name))
  );
  const isKnown = (word: VolumeWord) =>
    volumes.some(({ pool, status }) => isWanted(word, pool, status.name));
  const unknown = words.find((word) => !isKnown(word));
  const isComplete = error === undefined && unknown === undefined;
  show(invocation, chosen, isComplete);
  if (error !== undefined) throw error;
  if (unknown !== undefined) throw unknownError(unknown);
  return EXIT_OK;
}

/** `POOL` is every volume of the pool, `POOL/POOL` the first one. */
async function readWanted(
  stateDirectory: string,
  word: string,
): Promise<VolumeWord> {
  const { pool, volume } = await readVolume(stateDirectory, word);
  const isFirst = volume === "" && word !== pool;
  return { pool, volume: isFirst ? pool : volume };
}

function isWanted(word: VolumeWord, pool: string, volume: string): boolean {
  return word.pool === pool && ["", volume].includes(word.volume);
}

function unknownError({ pool, volume }: VolumeWord): VirstorError {
  return new VirstorError(
    "not-found",
    `Cannot list the snapshots of "${nameOf(pool, volume)}": pool "${pool}" ` +
      "has no such volume",
  );
}

/** @param isComplete Whether the volumes are all that were asked for. */
function show(
  invocation: Invocation,
  volumes: readonly ListedVolume[],
  isComplete: boolean,
): void {
  const snapshots = volumes.flatMap(({ pool, status }) =>
    status.snapshots.map((one) => ({ pool, volume: status.name, ...one }))
  );
  if (invocation.flag("json")) return printJson(snapshots);
  if (snapshots.length === 0) {
    if (isComplete) print("There are no snapshots");
    return;
  }
  print(textTable([
    ["Name", "Created", "Size", "Referenced", "Unique", "Clones"],
    ...snapshots.map((one) => [
      nameOf(one.pool, one.volume, one.name),
      one.created.replace(/\.\d+Z$/, "Z"),
      formatSize(one.size),
      formatSize(one.referencedBytes),
      formatSize(one.uniqueBytes),
      one.clones.map((name) => nameOf(one.pool, name)).join(", ") || "-",
    ]),
  ]));
}
