/**
 * Describes the volumes of pools, for the commands that list them.
 *
 * @module
 */

import { VirstorError } from "../../errors.ts";
import type { VolumeStatus } from "../../pool/mod.ts";
import { listRegistry } from "../state/mod.ts";
import { printError, withProgress } from "../terminal/mod.ts";
import { callPool } from "./call_pool.ts";

/** A volume with its pool. */
export interface ListedVolume {
  /** The name of the pool. */
  readonly pool: string;
  /** The volume. */
  readonly status: VolumeStatus;
}

/** The volumes that could be described. */
export interface ListedVolumes {
  /** The volumes, pool by pool. */
  readonly volumes: readonly ListedVolume[];
  /** Why a pool could not be described. */
  readonly error: VirstorError | undefined;
}

/**
 * Describes the volumes of pools. A pool that cannot be described does not
 * hide the others: of several errors all but the first are printed.
 *
 * @param stateDirectory The state directory.
 * @param names The names of the pools; all known ones if empty.
 * @returns The volumes.
 */
export async function describePools(
  stateDirectory: string,
  names: readonly string[],
): Promise<ListedVolumes> {
  const known = names.length > 0
    ? [...new Set(names)]
    : (await listRegistry(stateDirectory)).map(({ name }) => name);
  const volumes: ListedVolume[] = [];
  let first: VirstorError | undefined;
  for (const pool of known) {
    try {
      const described = await withProgress(
        `Reading pool "${pool}"`,
        callPool(stateDirectory, pool, "listVolumes", null),
      );
      volumes.push(...described.map((status) => ({ pool, status })));
    } catch (error) {
      if (!(error instanceof VirstorError)) throw error;
      if (first === undefined) first = error;
      else printError(`virstor: ${error.message}`);
    }
  }
  return { volumes, error: first };
}
