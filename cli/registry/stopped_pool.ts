/**
 * What commands do with a pool that is not served, by its name. Commands load
 * this room, and with it the pool layer, only when no server answers.
 *
 * @module
 */

import type { Finding } from "../../pool/core/mod.ts";
import {
  checkComponents,
  inspectComponents,
  openPool,
  type Pool,
  type PoolOptions,
  type PoolStatus,
} from "../../pool/mod.ts";
import { isMissing } from "../terminal/mod.ts";
import { type StoppedPool, withComponents } from "./locate.ts";

/**
 * Opens a pool.
 *
 * @param pool Which pool.
 * @param more How it is opened.
 * @returns The pool; the caller closes it.
 * @throws {VirstorError} As {@linkcode withComponents} and `openPool`.
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
 * Tells how a pool does.
 *
 * @param pool Which pool; if `degraded`, some components may be missing.
 * @returns Its status.
 * @throws {VirstorError} As {@linkcode withComponents} and `inspectComponents`.
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
 * @param pool Which pool.
 * @returns What was found.
 * @throws {VirstorError} As {@linkcode withComponents} and `checkComponents`.
 */
export function checkStopped(pool: StoppedPool): Promise<readonly Finding[]> {
  return withComponents(
    pool,
    async ({ paths, options }) =>
      (await checkComponents(paths, options)).findings,
    (findings) => findings.some(isMissing),
  );
}
