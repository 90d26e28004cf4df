/**
 * Surveys pools, served or stopped, for `status` and `list`.
 *
 * @module
 */

import { VirstorError } from "../../errors.ts";
import { callServer, type StatusReport } from "../control/mod.ts";
import type { StoppedPool } from "../registry/mod.ts";
import {
  listRegistry,
  readRegistry,
  type RegistryEntry,
} from "../state/mod.ts";

/** A pool with its status, or with the reason why the status is not known. */
export interface SurveyedPool {
  /** The pool's name. */
  readonly name: string;
  /** The pool's registry entry, if there is one. */
  readonly entry?: RegistryEntry | undefined;
  /** The status of the pool and its server, as far as it is known. */
  readonly report?: StatusReport;
  /** Why the status is not known, or why the pool does not open. */
  readonly error?: VirstorError;
}

/**
 * Surveys one pool: asks its server, or reads its components.
 *
 * @param stateDirectory The state directory.
 * @param name The pool's name.
 * @param entry The pool's registry entry; read from the registry if absent.
 * @returns The status, or the reason why it is not known.
 */
export async function surveyPool(
  stateDirectory: string,
  name: string,
  entry?: RegistryEntry,
): Promise<SurveyedPool> {
  const known = entry ?? await readRegistry(stateDirectory, name);
  const about = { name, entry: known };
  try {
    const reply = await callServer(stateDirectory, name, "status", null);
    if (reply !== undefined) return { ...about, report: reply.answer };
    return { ...about, report: await inspect({ stateDirectory, name }) };
  } catch (error) {
    if (!(error instanceof VirstorError)) throw error;
    const isPart = error.code === "not-found" && known !== undefined;
    const report = isPart
      ? await inspectPart({ stateDirectory, name })
      : undefined;
    return { ...about, error, ...report !== undefined && { report } };
  }
}

async function inspect(pool: StoppedPool): Promise<StatusReport> {
  const { inspectStopped } = await import("../registry/mod.ts");
  return { pool: await inspectStopped(pool), server: null };
}

/** The status of a pool that lacks components, as far as it is known. */
async function inspectPart(
  pool: StoppedPool,
): Promise<StatusReport | undefined> {
  try {
    return await inspect({ ...pool, degraded: true });
  } catch (error) {
    if (error instanceof VirstorError) return undefined;
    throw error;
  }
}

/**
 * Surveys known pools.
 *
 * @param stateDirectory The state directory.
 * @param names The names of the pools; all known pools if empty.
 * @returns The pools, sorted by name, or in the order of `names`.
 * @throws {VirstorError} `not-found` if a named pool is not known.
 */
export async function surveyAll(
  stateDirectory: string,
  names: readonly string[] = [],
): Promise<SurveyedPool[]> {
  const known = await listRegistry(stateDirectory);
  const entries = names.length === 0
    ? known
    : [...new Set(names)].map((name) =>
      known.find((entry) => entry.name === name) ??
        refuseUnknown(stateDirectory, name)
    );
  return await Promise.all(
    entries.map((entry) => surveyPool(stateDirectory, entry.name, entry)),
  );
}

function refuseUnknown(stateDirectory: string, name: string): never {
  throw new VirstorError(
    "not-found",
    `Cannot list pool "${name}": it is not registered in ` +
      `"${stateDirectory}"; look for it with "virstor taste DIR"`,
  );
}
