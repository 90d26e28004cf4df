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
  type Pool,
  type PoolOptions,
  type PoolStatus,
} from "../../pool/mod.ts";
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
