/**
 * Opens, inspects and checks a stopped pool by its name. Commands load this
 * room, and with it the pool layer, only when no server answers.
 *
 * @module
 */

import type { Finding } from "../../pool/core/mod.ts";
import {
  checkComponents,
  inspectComponents,
  openPool,
  openToGrow,
  type Pool,
  type PoolOptions,
  type PoolStatus,
} from "../../pool/mod.ts";
import { registerOpenPool } from "../calls/mod.ts";
import { isMissing } from "../terminal/mod.ts";
import { type StoppedPool, withComponents } from "./locate.ts";

/**
 * Opens a pool.
 *
 * @param pool The pool.
 * @param more Options of `openPool`.
 * @returns The pool; the caller closes it.
 * @throws {VirstorError} The errors of {@linkcode withComponents} and
 *   `openPool`.
 */
export function openStopped(
  pool: StoppedPool,
  more: PoolOptions = {},
): Promise<Pool> {
  return withComponents(
    pool,
    ({ paths, options }) => openPool(paths, { ...options, ...more }),
  );
}

/**
 * Opens a pool of which a component has grown.
 *
 * @param pool The pool.
 * @param grown The component, an absolute path.
 * @returns The pool; the caller closes it.
 * @throws {VirstorError} The errors of {@linkcode withComponents} and
 *   `openToGrow`.
 */
export function openGrown(pool: StoppedPool, grown: string): Promise<Pool> {
  return withComponents(
    { ...pool, named: [grown] },
    ({ paths, options }) => openToGrow(paths, grown, options),
  );
}

/**
 * Opens a pool, changes it, registers its components, and closes it.
 *
 * @param pool The pool.
 * @param change What to do with it; with `readOnly` nothing is registered.
 * @param more Options of `openPool`.
 * @returns The value of `change`.
 * @throws {VirstorError} The errors of {@linkcode openStopped} and of `change`.
 */
export async function changeStopped<T>(
  pool: StoppedPool,
  change: (pool: Pool) => Promise<T>,
  more: PoolOptions = {},
): Promise<T> {
  const opened = await openStopped(pool, more);
  try {
    return await change(opened);
  } finally {
    if (more.readOnly !== true) {
      await registerOpenPool(pool.stateDirectory, opened);
    }
    await opened.close();
  }
}

/**
 * Reads the status of a pool.
 *
 * @param pool The pool; if `degraded`, some components may be missing.
 * @returns The pool's status.
 * @throws {VirstorError} The errors of {@linkcode withComponents} and
 *   `inspectComponents`.
 */
export function inspectStopped(pool: StoppedPool): Promise<PoolStatus> {
  const incomplete = pool.degraded === true;
  return withComponents(
    pool,
    ({ paths, options }) =>
      inspectComponents(paths, { ...options, incomplete }),
  );
}

/**
 * Checks a pool.
 *
 * @param pool The pool.
 * @returns The findings.
 * @throws {VirstorError} The errors of {@linkcode withComponents} and
 *   `checkComponents`.
 */
export function checkStopped(pool: StoppedPool): Promise<readonly Finding[]> {
  return withComponents(
    pool,
    async ({ paths, options }) =>
      (await checkComponents(paths, options)).findings,
    (findings) => findings.some(isMissing),
  );
}
