/**
 * What the metrics of a server are made of.
 *
 * @module
 */

import type { DeviceDurations } from "../../device/block/mod.ts";
import type { NbdClientInfo, NbdLoad } from "../../nbd/server/mod.ts";
import type { NbdCounters } from "../../nbd/server/export/mod.ts";
import type { PoolCounters } from "../../pool/core/mod.ts";
import type { PoolStatus } from "../../pool/mod.ts";

/** The figures of a pool, all of one moment. */
export interface PoolFigures {
  /** The status. */
  readonly status: PoolStatus;
  /** The counters of the volumes, in the order of `status.volumes`. */
  readonly counters: readonly Readonly<PoolCounters>[];
  /** The components that are present. */
  readonly disks: readonly {
    /** The path of the component. */
    readonly path: string;
    /** How long its disk took; absent if that is not measured. */
    readonly durations?: DeviceDurations | undefined;
  }[];
  /** The exports that have had clients, and those of volumes. */
  readonly exports: readonly {
    /** The name. */
    readonly name: string;
    /** The number of clients that use it. */
    readonly connections: number;
  }[];
}

/** The figures of a server and its pools, all of one moment. */
export interface MetricsSource {
  /** The counters of the NBD server. */
  readonly counters: Readonly<NbdCounters>;
  /** How long the requests took, and how many are in flight. */
  readonly load: NbdLoad;
  /** The clients, also those without an export. */
  readonly clients: readonly NbdClientInfo[];
  /** The pools that are served. */
  readonly pools: readonly PoolFigures[];
}
