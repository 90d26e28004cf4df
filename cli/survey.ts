/**
 * How pools do, served or stopped: for `status` and `list`.
 *
 * @module
 */

import { VirstorError } from "../errors.ts";
import { inspectComponents } from "../pool/mod.ts";
import { callServer } from "./control_client.ts";
import type { StatusReport } from "./control_protocol.ts";
import { locateComponents } from "./locate.ts";
import { listRegistry, type RegistryEntry } from "./registry.ts";

/** A known pool, and how it does or why that cannot be told. */
export interface SurveyedPool {
  /** What the registry says. */
  readonly entry: RegistryEntry;
  /** How it does; absent if that cannot be told. */
  readonly report?: StatusReport;
  /** Why it cannot be told. */
  readonly error?: VirstorError;
}

/**
 * How one pool does: asks its server, or reads its components.
 *
 * @param stateDirectory The state directory.
 * @param name The pool's name.
 * @returns The pool and its server.
 * @throws {VirstorError} If it cannot be told.
 */
export async function surveyPool(
  stateDirectory: string,
  name: string,
): Promise<StatusReport> {
  const served = await callServer(stateDirectory, name, "status", null);
  if (served !== undefined) return served.answer;
  const paths = await locateComponents(stateDirectory, name);
  return { pool: await inspectComponents(paths, name), server: null };
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
  return await Promise.all(entries.map(async (entry) => {
    try {
      return { entry, report: await surveyPool(stateDirectory, entry.name) };
    } catch (error) {
      if (!(error instanceof VirstorError)) throw error;
      return { entry, error };
    }
  }));
}

function refuseUnknown(stateDirectory: string, name: string): never {
  throw new VirstorError(
    "not-found",
    `Cannot list pool "${name}": it is not registered in ` +
      `"${stateDirectory}"; look for it with "virstor taste DIR"`,
  );
}
