/**
 * What a remote disk tells of itself.
 *
 * @module
 */

import type { Dispatcher } from "./dispatcher.ts";
import type { FreezeReason } from "./freezes.ts";
import type { Keeper } from "./keeper.ts";
import type { RoundTrips } from "./round_trips.ts";
import type { Unflushed } from "./unflushed.ts";

/** The state of a remote disk. */
export interface NbdDiskStatus {
  /** Whether requests leave now. */
  readonly state:
    | "closed"
    | "connected"
    | "connecting"
    | "failed"
    | "suspended";
  /** The path in use, or that was in use last, without a password. */
  readonly path: string;
  /** Connections in use. */
  readonly connections: number;
  /** How many times the disk has connected again. */
  readonly reconnects: number;
  /** Requests in flight. */
  readonly inFlight: number;
  /** Requests that have not left. */
  readonly queued: number;
  /** Bytes of writes that are kept until a flush. */
  readonly unflushedBytes: number;
  /** Writes that wait for a flush to make room for them. */
  readonly delayedWrites: number;
  /** Why requests do not leave, and how many times. */
  readonly freezes: Readonly<Partial<Record<FreezeReason, number>>>;
  /** Median of the last round trips, milliseconds. */
  readonly roundTripP50: number;
  /** 99th percentile of the last round trips, milliseconds. */
  readonly roundTripP99: number;
  /**
   * Milliseconds since the oldest request left first, or since it waits for a
   * connection; 0 if there is none.
   */
  readonly oldestMs: number;
  /** The last fault of a connection; "" if there was none. */
  readonly lastError: string;
}

/** What the state is read from. */
export interface StatusParts {
  /** The queue. */
  readonly dispatcher: Dispatcher;
  /** What is kept. */
  readonly unflushed: Unflushed;
  /** The connection. */
  readonly keeper: Keeper;
  /** The last round trips. */
  readonly trips: RoundTrips;
}

/**
 * Gathers the state of a remote disk.
 *
 * @param state Whether requests leave now.
 * @param parts What the rest is read from.
 * @returns The state now.
 */
export function statusOf(
  state: NbdDiskStatus["state"],
  { dispatcher, unflushed, keeper, trips }: StatusParts,
): NbdDiskStatus {
  const { freezes, session, inFlight, queued, oldest } = dispatcher;
  return {
    state,
    path: keeper.path,
    connections: session?.connections ?? 0,
    reconnects: keeper.reconnects,
    inFlight,
    queued,
    unflushedBytes: unflushed.used,
    delayedWrites: unflushed.waiting,
    freezes: freezes.reasons(unflushed.waiting),
    roundTripP50: trips.quantile(0.5),
    roundTripP99: trips.quantile(0.99),
    oldestMs: oldest === Infinity ? 0 : performance.now() - oldest,
    lastError: keeper.lastError?.message ?? "",
  };
}
