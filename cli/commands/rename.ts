/**
 * `virstor rename`: gives a pool another name.
 *
 * The registry has the pool under both names while the superblocks change. So
 * it leads to the components wherever a crash interrupts, and the same command
 * finishes what it finds.
 *
 * @module
 */

import { VirstorError } from "../../errors.ts";
import type { Pool } from "../../pool/mod.ts";
import { callServer } from "../control/mod.ts";
import { readRegistry } from "../state/mod.ts";
import {
  type Environment,
  EXIT_OK,
  type Invocation,
  print,
  printNotices,
  withProgress,
} from "../terminal/mod.ts";

/**
 * Renames a pool.
 *
 * @param invocation The command line.
 * @param environment The state directory.
 * @returns The exit code.
 * @throws {VirstorError} `exists` if the name is taken, `invalid` if it is
 *   malformed, `unsupported` for a pool of format freebsd: nothing has changed
 *   then.
 */
export async function run(
  invocation: Invocation,
  environment: Environment,
): Promise<number> {
  const [name = "", to = ""] = invocation.operands;
  const stateDirectory = environment.stateDirectory();
  const isServed = await withProgress(
    `Renaming pool "${name}"`,
    rename(stateDirectory, name, to),
  );
  print(`Renamed pool "${name}" to "${to}"`);
  if (isServed) {
    printNotices(["Connected clients stay; new ones need the new name"]);
  }
  return EXIT_OK;
}

/** Renames the pool; returns whether it is served. */
async function rename(
  stateDirectory: string,
  name: string,
  to: string,
): Promise<boolean> {
  const request = { from: name, to };
  const reply = await callServer(stateDirectory, name, "renamePool", request);
  if (reply !== undefined) return true;
  const { forgetFormerName, renameOpenPool } = await import("../calls/mod.ts");
  const pool = await openEither(stateDirectory, name, to);
  try {
    const isDone = pool.name === to && name !== to;
    if (!isDone) await renameOpenPool(stateDirectory, pool, to);
    await forgetFormerName(stateDirectory, pool, name);
  } finally {
    await pool.close();
  }
  return false;
}

/** Opens the pool, under the new name if an interrupted rename got so far. */
async function openEither(
  stateDirectory: string,
  name: string,
  to: string,
): Promise<Pool> {
  const { openStopped } = await import("../registry/mod.ts");
  const options = { evacuation: { paused: true } };
  try {
    return await openStopped({ stateDirectory, name }, options);
  } catch (error) {
    const isMissing = error instanceof VirstorError &&
      error.code === "not-found";
    if (!isMissing || !await isOnePool(stateDirectory, name, to)) throw error;
    return await openStopped({ stateDirectory, name: to }, options);
  }
}

/** Whether the registry has one pool under both names. */
async function isOnePool(
  stateDirectory: string,
  name: string,
  other: string,
): Promise<boolean> {
  const entry = await readRegistry(stateDirectory, name);
  const second = await readRegistry(stateDirectory, other);
  return name !== other && entry !== undefined && entry.id === second?.id;
}
