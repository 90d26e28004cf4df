/**
 * How pools do, served or stopped: for `status` and `list`.
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

/** A pool, and how it does or why that cannot be told. */
export interface SurveyedPool {
  /** Its name. */
  readonly name: string;
  /** What the registry says, if it knows it. */
  readonly entry?: RegistryEntry | undefined;
  /** How it does, as far as that can be told. */
  readonly report?: StatusReport;
  /** Why it cannot be told, or why it does not open. */
  readonly error?: VirstorError;
}

/**
 * How one pool does: asks its server, or reads its components.
 *
 * @param stateDirectory The state directory.
 * @param name The pool's name.
 * @param entry What the registry says.
 * @returns The pool and its server, or why that cannot be told.
 */
export async function surveyPool(
  stateDirectory: string,
  name: string,
  entry?: RegistryEntry,
): Promise<SurveyedPool> {
  const known = entry ?? await readRegistry(stateDirectory, name);
  const about = { name, entry: known };
  try {
    const served = await callServer(stateDirectory, name, "status", null);
    if (served !== undefined) return { ...about, report: served.answer };
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

/** What there is of a pool that lacks components. */
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
 * How known pools do.
 *
 * @param stateDirectory The state directory.
 * @param names Which ones; all if it is empty.
 * @returns The pools, by name, or in the order of the names.
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
