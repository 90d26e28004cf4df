/**
 * The state of a remote component, from its connection and its journal.
 *
 * @module
 */

import type { RemoteStatus } from "../core/mod.ts";
import type { FarDiskStatus } from "./far_disk.ts";
import type { Journal } from "./journal.ts";

/** What the component itself knows. */
export interface OwnState {
  /** The journal; undefined for a component that is only read. */
  readonly journal: Pick<Journal, "capacity" | "used"> | undefined;
  /** Writes that wait for room in the journal. */
  readonly delayedWrites: number;
  /** Why it takes no more writes; "" while it does. */
  readonly failure: string;
}

/**
 * Describes a remote component.
 *
 * @param path Its URIs, without passwords.
 * @param far The state of its connection; undefined if that is not known.
 * @param own What it knows itself.
 * @returns The state now.
 */
export function remoteStatusOf(
  path: string,
  far: FarDiskStatus | undefined,
  { journal, delayedWrites, failure }: OwnState,
): RemoteStatus {
  return {
    state: failure === "" ? far?.state ?? "connected" : "failed",
    path: far?.path ?? path,
    reconnects: far?.reconnects ?? 0,
    inFlight: far?.inFlight ?? 0,
    queued: far?.queued ?? 0,
    journalBytes: journal?.used ?? 0,
    journalSize: journal?.capacity ?? 0,
    delayedWrites,
    roundTripP50Ms: far?.roundTripP50 ?? 0,
    roundTripP99Ms: far?.roundTripP99 ?? 0,
    oldestMs: far?.oldestMs ?? 0,
    lastError: failure === "" ? far?.lastError ?? "" : failure,
  };
}
