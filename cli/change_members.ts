/**
 * Adding and removing components of an open pool, so that the registry can
 * lead to all of them also after a stop in the middle.
 *
 * @module
 */

import { messageOf } from "../errors.ts";
import type { AddResult, Pool } from "../pool/mod.ts";
import type { AddRequest, RemoveRequest } from "./control_protocol.ts";
import { printError } from "./output.ts";
import { registerPool } from "./registry.ts";

/**
 * Adds components. They are known to the registry before they are members:
 * whatever a stop leaves behind, the next open finds all of it.
 *
 * @param stateDirectory The state directory.
 * @param pool The open pool.
 * @param request What to add.
 * @returns What was added.
 * @throws {VirstorError} As `Pool.add`.
 */
export async function addComponents(
  stateDirectory: string,
  pool: Pool,
  { paths, ...options }: AddRequest,
): Promise<AddResult> {
  await register(stateDirectory, pool, paths);
  try {
    return await pool.add(paths, options);
  } finally {
    await register(stateDirectory, pool);
  }
}

/**
 * Removes components, and forgets them once they are no members.
 *
 * @param stateDirectory The state directory.
 * @param pool The open pool.
 * @param request What to remove.
 * @returns What was removed.
 * @throws {VirstorError} As `Pool.remove`.
 */
export async function removeComponents(
  stateDirectory: string,
  pool: Pool,
  { paths }: RemoveRequest,
): Promise<{ removed: string[] }> {
  const result = await pool.remove(paths);
  await register(stateDirectory, pool);
  return result;
}

/** The registry is a hint only: that it cannot be written fails nothing. */
async function register(
  stateDirectory: string,
  pool: Pool,
  more: readonly string[] = [],
): Promise<void> {
  try {
    const { name, id, components } = pool.status();
    const added = more.map((path) => ({ path }));
    const all = [...components, ...added];
    await registerPool(stateDirectory, { name, id, components: all });
  } catch (error) {
    printError(`virstor: Notice: ${messageOf(error)}`);
  }
}
