/**
 * The ends of `virstor copy` that are volumes and snapshots of pools, served or
 * stopped.
 *
 * @module
 */

import type { BlockDevice } from "../../device/block/mod.ts";
import { nameOf, VirstorError } from "../../errors.ts";
import { changedSince, type Range } from "../../nbd/client/mod.ts";
import type { Pool, VolumeStatus } from "../../pool/mod.ts";
import { registerOpenPool, volumeHandlers } from "../calls/mod.ts";
import { callServer } from "../control/mod.ts";
import { readRegistry } from "../state/mod.ts";
import { UsageError } from "../terminal/mod.ts";
import { readSnapshot, readVolume } from "./pool_words.ts";
import { withExport } from "./remote_uri.ts";

/** A volume, or a snapshot of one. */
export interface PoolWord {
  /** The name of the pool. */
  readonly pool: string;
  /** The name of the volume; empty for the first one. */
  readonly volume: string;
  /** The name of the snapshot; empty for the volume. */
  readonly snapshot: string;
}

/** What has changed since a snapshot. */
export interface Changes {
  /** The ranges that may differ, in order. */
  readonly ranges: readonly Range[];
  /** Bytes of the disk at that time; `undefined` if that is not known. */
  readonly size: number | undefined;
}

/** A volume or a snapshot, served or open. */
export interface PoolEnd {
  /** The URI of the export, if the pool is served. */
  readonly uri: string;
  /** The disk, if the pool is stopped. */
  readonly device: BlockDevice | undefined;
  /** What is known of its volume. */
  readonly status: VolumeStatus;
  /**
   * Finds what has changed since a snapshot of the volume.
   *
   * @param snapshot The name of the snapshot.
   * @param timeoutMs Milliseconds for a connection.
   * @returns The changes.
   * @throws {VirstorError} `not-found` without such an older snapshot.
   */
  changedSince(snapshot: string, timeoutMs: number): Promise<Changes>;
}

/**
 * Reads a word that may name a volume or a snapshot of a known pool.
 *
 * @param stateDirectory The state directory.
 * @param word The word.
 * @returns What the word names; `undefined` if it can only be a path.
 * @throws {UsageError} If there is also a file of that name.
 */
export async function findPoolWord(
  stateDirectory: string,
  word: string,
): Promise<PoolWord | undefined> {
  if (/^\.{0,2}\//.test(word) || word === "") return undefined;
  const parsed = await parse(stateDirectory, word);
  if (
    parsed === undefined ||
    await readRegistry(stateDirectory, parsed.pool) === undefined
  ) return undefined;
  try {
    await Deno.lstat(word);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return parsed;
    if (error instanceof Deno.errors.NotADirectory) return parsed;
    throw error;
  }
  throw new UsageError(
    `"${word}" is a file, and pool "${parsed.pool}" has that name, too`,
    `Write "./${word}" for the file`,
  );
}

async function parse(
  stateDirectory: string,
  word: string,
): Promise<PoolWord | undefined> {
  try {
    return word.includes("@")
      ? await readSnapshot(stateDirectory, word)
      : { ...await readVolume(stateDirectory, word), snapshot: "" };
  } catch (error) {
    // A path, such as "images/".
    if (error instanceof UsageError) return undefined;
    throw error;
  }
}

/** Opens pools for the ends of a copy, each at most once. */
export class CopyPools implements AsyncDisposable {
  readonly #stateDirectory: string;
  readonly #written: string;
  readonly #open = new Map<string, Promise<Pool>>();

  /**
   * Opens nothing yet.
   *
   * @param stateDirectory The state directory.
   * @param written The pool that is written to; others are opened read-only.
   */
  constructor(stateDirectory: string, written: string) {
    this.#stateDirectory = stateDirectory;
    this.#written = written;
  }

  /**
   * Finds the export of a served pool, or opens a stopped one.
   *
   * @param word The volume, or the snapshot.
   * @returns The end of a copy.
   * @throws {VirstorError} `not-found` without it; the errors of opening.
   */
  async end(word: PoolWord): Promise<PoolEnd> {
    const { pool } = word;
    const served = await callServer(this.#stateDirectory, pool, "status", null);
    const server = served?.answer.server;
    if (server === undefined || server === null) {
      return await this.#stoppedEnd(word);
    }
    const answer = await callServer(
      this.#stateDirectory,
      pool,
      "listVolumes",
      null,
    );
    const status = statusOf(answer?.answer ?? [], word);
    const uri = exportUri(server.uris, word);
    return {
      uri,
      device: undefined,
      status,
      changedSince: async (snapshot, timeoutMs) => ({
        ranges: await changedSince(uri, snapshot, timeoutMs),
        size: sizeThen(status, snapshot),
      }),
    };
  }

  /** Closes the pools, those that were written to durably. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const [name, opening] of this.#open) {
      const pool = await opening.catch(() => undefined);
      if (pool === undefined) continue;
      if (name === this.#written) {
        await registerOpenPool(this.#stateDirectory, pool);
      }
      await pool.close();
    }
  }

  async #stoppedEnd(word: PoolWord): Promise<PoolEnd> {
    const { snapshot } = word;
    const pool = await this.#opened(word.pool);
    const handlers = volumeHandlers(pool);
    const status = statusOf(await handlers.listVolumes(null), word);
    const device = snapshot === ""
      ? pool.volume(status.name)
      : pool.snapshotDisk(status.name, snapshot);
    return {
      uri: "",
      device,
      status,
      changedSince: async (from) => ({
        ranges: await handlers.diff({
          volume: status.name,
          from,
          to: snapshot,
        }),
        size: sizeThen(status, from),
      }),
    };
  }

  async #opened(name: string): Promise<Pool> {
    const { openStopped } = await import("../registry/mod.ts");
    const known = this.#open.get(name);
    if (known !== undefined) return await known;
    const opening = openStopped(
      { stateDirectory: this.#stateDirectory, name },
      // Space cannot be added to a pool that this command has open, so no write
      // waits for it, whatever the policy of the volume is.
      name === this.#written
        ? { onFull: "error", fullTimeoutSeconds: 1 }
        : { readOnly: true },
    );
    this.#open.set(name, opening);
    return await opening;
  }
}

function statusOf(
  volumes: readonly VolumeStatus[],
  { pool, volume, snapshot }: PoolWord,
): VolumeStatus {
  const name = volume === "" ? pool : volume;
  const status = volumes.find((one) => one.name === name);
  const isThere = status !== undefined &&
    (snapshot === "" || status.snapshots.some((one) => one.name === snapshot));
  if (isThere) return status;
  throw new VirstorError(
    "not-found",
    `Cannot find "${nameOf(pool, volume, snapshot)}": pool "${pool}" has no ` +
      (status === undefined ? "such volume" : "such snapshot"),
  );
}

function sizeThen(status: VolumeStatus, snapshot: string): number | undefined {
  return status.snapshots.find(({ name }) => name === snapshot)?.size;
}

/** The URI that a client on this machine uses best. */
function exportUri(
  uris: readonly string[],
  { pool, volume, snapshot }: PoolWord,
): string {
  const uri = ["nbd+unix:", "nbd:", ""].map((scheme) =>
    uris.find((one) => one.startsWith(scheme))
  ).find((one) => one !== undefined);
  if (uri === undefined) {
    throw new VirstorError(
      "unsupported",
      `Cannot copy pool "${pool}": the addresses of its server are not known; ` +
        "give the URI of the export",
    );
  }
  return withExport(uri, nameOf(pool, volume, snapshot));
}
