/**
 * Takes words such as `POOL/VOLUME@SNAPSHOT` apart.
 *
 * @module
 */

import { readRegistry } from "../state/mod.ts";
import { UsageError } from "../terminal/mod.ts";

/** A volume that the user named. */
export interface VolumeWord {
  /** The name of the pool. */
  readonly pool: string;
  /** The name of the volume; empty for the first one. */
  readonly volume: string;
}

/** A snapshot that the user named. */
export interface SnapshotWord extends VolumeWord {
  /** The name of the snapshot. */
  readonly snapshot: string;
}

/**
 * Reads `POOL` or `POOL/VOLUME`. A known pool whose name has a `/` goes by its
 * plain name.
 *
 * @param stateDirectory The state directory.
 * @param word The word.
 * @param whole What the user typed, if the word is a part of it.
 * @returns The volume.
 * @throws {UsageError} If a name is empty.
 */
export async function readVolume(
  stateDirectory: string,
  word: string,
  whole: string = word,
): Promise<VolumeWord> {
  const at = word.lastIndexOf("/");
  if (at < 0 || await isPool(stateDirectory, word)) {
    return { pool: notEmpty(word, whole), volume: "" };
  }
  const pool = notEmpty(word.slice(0, at), whole);
  const volume = notEmpty(word.slice(at + 1), whole);
  return { pool, volume: volume === pool ? "" : volume };
}

/**
 * Reads `POOL/VOLUME`.
 *
 * @param stateDirectory The state directory.
 * @param word The word.
 * @returns The volume; its name is not empty.
 * @throws {UsageError} If no volume is named.
 */
export async function readNamedVolume(
  stateDirectory: string,
  word: string,
): Promise<VolumeWord> {
  const { pool, volume } = await readVolume(stateDirectory, word);
  if (!word.includes("/") || await isPool(stateDirectory, word)) {
    throw new UsageError(
      `"${word}" names no volume`,
      "Name it as POOL/VOLUME",
    );
  }
  return { pool, volume: volume === "" ? pool : volume };
}

/**
 * Reads `POOL@NAME` or `POOL/VOLUME@NAME`.
 *
 * @param stateDirectory The state directory.
 * @param word The word.
 * @returns The snapshot.
 * @throws {UsageError} If no snapshot is named.
 */
export async function readSnapshot(
  stateDirectory: string,
  word: string,
): Promise<SnapshotWord> {
  const at = word.lastIndexOf("@");
  if (at < 0) {
    throw new UsageError(
      `"${word}" names no snapshot`,
      "Name it as POOL@NAME or POOL/VOLUME@NAME",
    );
  }
  const snapshot = notEmpty(word.slice(at + 1), word);
  const volume = await readVolume(stateDirectory, word.slice(0, at), word);
  return { ...volume, snapshot };
}

/**
 * Reads the names of snapshots of one pool.
 *
 * @param stateDirectory The state directory.
 * @param words The words, at least one.
 * @returns The pool, and its snapshots.
 * @throws {UsageError} If they are of different pools.
 */
export async function readSnapshots(
  stateDirectory: string,
  words: readonly string[],
): Promise<{ pool: string; snapshots: SnapshotWord[] }> {
  const snapshots = await Promise.all(
    words.map((word) => readSnapshot(stateDirectory, word)),
  );
  const pools = [...new Set(snapshots.map(({ pool }) => pool))];
  const [pool = "", other] = pools;
  if (other === undefined) return { pool, snapshots };
  throw new UsageError(
    `The snapshots are of pool "${pool}" and of pool "${other}"`,
    "Use a command for each pool",
  );
}

async function isPool(stateDirectory: string, name: string): Promise<boolean> {
  return await readRegistry(stateDirectory, name) !== undefined;
}

function notEmpty(name: string, word: string): string {
  if (name !== "") return name;
  throw new UsageError(
    `A name is empty in "${word}"`,
    "Names are as in POOL/VOLUME@SNAPSHOT",
  );
}
