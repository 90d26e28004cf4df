/**
 * Renames an open pool, in its labels and in the registry.
 *
 * The registry has the pool under both names while the superblocks change. So
 * it leads to the components wherever a crash interrupts.
 *
 * @module
 */

import { VirstorError } from "../../errors.ts";
import type { Pool } from "../../pool/mod.ts";
import {
  type ClaimedName,
  forgetPool,
  forgetRate,
  recallRate,
  rememberRate,
  whileClaimed,
} from "../state/mod.ts";
import { registerOpenPool, whileUnregistered } from "./change_pool.ts";

/**
 * Renames an open pool. The registry has it under both names afterwards: see
 * {@linkcode forgetFormerName}.
 *
 * @param stateDirectory The state directory.
 * @param pool The open pool.
 * @param to Its new name.
 * @param prepare Called before the labels change; if it throws, nothing has
 *   changed.
 * @throws {VirstorError} `exists` if the name is taken, `busy` if another
 *   command is giving it to a pool, `invalid` if it is malformed, `unsupported`
 *   in format 1, `io`: nothing has changed. `failed`: the state on disk is
 *   unknown.
 */
export async function renameOpenPool(
  stateDirectory: string,
  pool: Pool,
  to: string,
  prepare: () => Promise<void> = () => Promise.resolve(),
): Promise<void> {
  const what = `rename pool "${pool.name}" to "${to}"`;
  await whileClaimed(stateDirectory, to, what, async (claimed) => {
    let isRegistered = false;
    try {
      await pool.volumeChanges.renamePool(to, async () => {
        await register(claimed, pool, to);
        isRegistered = true;
        await prepare();
      });
    } catch (error) {
      // "set" has this file, too, and needs no pool.
      const { isStillRunning } = await import("../../pool/change/mod.ts");
      const mayChange = isStillRunning(error) ||
        error instanceof VirstorError && error.code === "failed";
      if (isRegistered && !mayChange) await claimed.forget(pool.status().id);
      throw error;
    }
  });
}

/**
 * Removes the former name of a pool from the registry, and keeps under the new
 * one what is known of the pool.
 *
 * @param stateDirectory The state directory.
 * @param pool The renamed pool, open.
 * @param from Its former name.
 * @throws {VirstorError} `io` if the registry cannot be written.
 */
export async function forgetFormerName(
  stateDirectory: string,
  pool: Pool,
  from: string,
): Promise<void> {
  await registerOpenPool(stateDirectory, pool);
  const rate = await recallRate(stateDirectory, from);
  if (rate !== undefined) await rememberRate(stateDirectory, pool.name, rate);
  await forgetRate(stateDirectory, from);
  // A registration that began under the former name has ended by then.
  const { id } = pool.status();
  await whileUnregistered(() => forgetPool(stateDirectory, from, id));
}

/** Registers the components under the new name, too. */
async function register(
  claimed: ClaimedName,
  pool: Pool,
  to: string,
): Promise<void> {
  const { id, components } = pool.status();
  await claimed.update((entry) => {
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
