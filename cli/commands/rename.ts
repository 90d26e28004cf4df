/**
 * `virstor rename`: gives a stopped pool another name.
 *
 * The registry has the pool under both names while the superblocks change. So
 * it leads to the components wherever a crash interrupts, and the same command
 * finishes what it finds.
 *
 * @module
 */

import { VirstorError } from "../../errors.ts";
import type { Pool } from "../../pool/mod.ts";
import { registerOpenPool } from "../calls/mod.ts";
import { openStopped } from "../registry/mod.ts";
import {
  forgetPool,
  forgetRate,
  readRegistry,
  recallRate,
  rememberRate,
  updatePool,
} from "../state/mod.ts";
import {
  type Environment,
  EXIT_OK,
  type Invocation,
  print,
  withProgress,
} from "../terminal/mod.ts";
import { refuseServed } from "./refuse_served.ts";

/**
 * Renames a pool.
 *
 * @param invocation The command line.
 * @param environment The state directory.
 * @returns The exit code.
 * @throws {VirstorError} `busy` if the pool is served; `exists` if the name is
 *   taken, `invalid` if it is malformed, `unsupported` for a pool of format
 *   freebsd: nothing has changed then.
 */
export async function run(
  invocation: Invocation,
  environment: Environment,
): Promise<number> {
  const [name = "", to = ""] = invocation.operands;
  const stateDirectory = environment.stateDirectory();
  await refuseServed("rename", stateDirectory, name);
  await withProgress(
    `Renaming pool "${name}"`,
    rename(stateDirectory, name, to),
  );
  print(`Renamed pool "${name}" to "${to}"`);
  return EXIT_OK;
}

async function rename(
  stateDirectory: string,
  name: string,
  to: string,
): Promise<void> {
  const pool = await openEither(stateDirectory, name, to);
  try {
    const isDone = pool.name === to && name !== to;
    if (!isDone) await renameOpen(stateDirectory, pool, to);
    await registerOpenPool(stateDirectory, pool);
  } finally {
    await pool.close();
  }
  const rate = await recallRate(stateDirectory, name);
  if (rate !== undefined) await rememberRate(stateDirectory, to, rate);
  await forgetRate(stateDirectory, name);
  await forgetPool(stateDirectory, name);
}

/** Opens the pool, under the new name if an interrupted rename got so far. */
async function openEither(
  stateDirectory: string,
  name: string,
  to: string,
): Promise<Pool> {
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

async function renameOpen(
  stateDirectory: string,
  pool: Pool,
  to: string,
): Promise<void> {
  let isRegistered = false;
  try {
    await pool.volumeChanges.renamePool(to, async () => {
      await register(stateDirectory, pool, to);
      isRegistered = true;
    });
  } catch (error) {
    const hasChanged = error instanceof VirstorError && error.code === "failed";
    if (isRegistered && !hasChanged) await forgetPool(stateDirectory, to);
    throw error;
  }
}

/** Registers the components under the new name, too. */
async function register(
  stateDirectory: string,
  pool: Pool,
  to: string,
): Promise<void> {
  const { id, components } = pool.status();
  await updatePool(stateDirectory, to, (entry) => {
    if (entry === undefined || entry.id === id) {
      return Promise.resolve({ name: to, id, components });
    }
    throw new VirstorError(
      "exists",
      `Cannot rename pool "${pool.name}" to "${to}": another pool of this ` +
        "name is registered; choose another name, or forget that one",
    );
  });
}
