/**
 * Changes of an open pool. The registry leads to all components also after a
 * stop in the middle.
 *
 * @module
 */

import { messageOf } from "../../errors.ts";
import type { Pool } from "../../pool/mod.ts";
import type { RemoveResult } from "../../pool/change/mod.ts";
import type {
  AddAnswer,
  AddRequest,
  RemoveRequest,
  ResizeRequest,
  ResizeResult,
} from "./control_protocol.ts";
import { registeredSize, rememberRate, updatePool } from "../state/mod.ts";
import { printNotices } from "../terminal/mod.ts";

/**
 * The rate at which a served pool is evacuated unless another is asked for,
 * bytes a second: slow enough that clients are not starved.
 */
export const SERVED_EVACUATION_RATE: number = 64 * 1024 ** 2;

/** One after the other, so that the last word is the latest. */
let registering: Promise<void> = Promise.resolve();

/**
 * Adds components. They are known to the registry before they are members:
 * whatever a stop leaves behind, the next open finds all of it.
 *
 * @param stateDirectory The state directory.
 * @param pool The open pool.
 * @param request What to add.
 * @returns What was added, and that the registry could not be told, if so.
 * @throws {VirstorError} As `Pool.add`.
 */
export async function addComponents(
  stateDirectory: string,
  pool: Pool,
  { paths, ...options }: AddRequest,
): Promise<AddAnswer> {
  await register(stateDirectory, pool, paths);
  let warning = "";
  try {
    const added = await pool.add(paths, options);
    warning = await register(stateDirectory, pool);
    return { ...added, warnings: warning === "" ? [] : [warning] };
  } catch (error) {
    await register(stateDirectory, pool);
    throw error;
  }
}

/**
 * Removes components, and forgets those that are no members any more.
 *
 * @param stateDirectory The state directory.
 * @param pool The open pool.
 * @param request What to remove.
 * @returns What was removed, and what is being evacuated first.
 * @throws {VirstorError} As `Pool.remove`.
 */
export async function removeComponents(
  stateDirectory: string,
  pool: Pool,
  { paths, bytesPerSecond }: RemoveRequest,
): Promise<RemoveResult> {
  const result = await pool.remove(paths, { bytesPerSecond });
  if (result.evacuating.length > 0) {
    await rememberRate(stateDirectory, pool.name, bytesPerSecond);
  }
  await registerOpenPool(stateDirectory, pool);
  return result;
}

/**
 * Gives the disk of a pool another size.
 *
 * @param pool The open pool.
 * @param request Which.
 * @returns Its size before and after.
 * @throws {VirstorError} As `Pool.resize`.
 */
export async function resizeDisk(
  pool: Pool,
  { virtualSize, force }: ResizeRequest,
): Promise<ResizeResult> {
  const before = pool.volume().size;
  return { before, ...await pool.resize(virtualSize, { force }) };
}

/**
 * Makes the components of an open pool known. Those that are missing stay known
 * where they were. The registry is a hint only: that it cannot be written fails
 * nothing, and is told as a notice.
 *
 * @param stateDirectory The state directory.
 * @param pool The open pool.
 * @returns Done when it is durable.
 */
export async function registerOpenPool(
  stateDirectory: string,
  pool: Pool,
): Promise<void> {
  const warning = await register(stateDirectory, pool);
  if (warning !== "") printNotices([warning]);
}

/** Makes components known; returns why they could not be, or "". */
function register(
  stateDirectory: string,
  pool: Pool,
  more: readonly string[] = [],
): Promise<string> {
  const done = registering.then(async () => {
    try {
      await updatePool(stateDirectory, pool.name, (entry) => {
        const { name, id, components, missing } = pool.status();
        const sizes = new Map(components.map(({ path, size }) => [path, size]));
        for (const path of more) sizes.set(path, sizes.get(path) ?? 0);
        if (missing.length > 0 && entry?.id === id) {
          for (const path of entry.components) {
            sizes.set(path, sizes.get(path) ?? registeredSize(entry, path));
          }
        }
        const all = [...sizes].map(([path, size]) => ({ path, size }));
        return Promise.resolve({ name, id, components: all });
      });
      return "";
    } catch (error) {
      return messageOf(error);
    }
  });
  registering = done.then(() => {});
  return done;
}
