/**
 * The settings of an open pool. A change may replace some of them
 * (`pool/change/live_settings.ts`), so parts of the pool read them each time.
 *
 * @module
 */

import { counted, VirstorError } from "../../errors.ts";
import type { OpenDevice } from "./component_device.ts";
import type { PoolEvent } from "./events.ts";

/** A timeout in seconds that a timer can keep: about 24 days. */
const FULL_TIMEOUT_MAX = 2_147_483;

/** What a write does that needs a new chunk when none is free. */
export type FullPolicy =
  | "delay" // wait until a chunk is free
  | "error"; // fail with `no-space`

/** A member that was not found, or that is unusable. */
export interface MissingMember {
  /** The component's index, from 0. */
  readonly index: number;
  /** The component's UUID; "" in format 1. */
  readonly uuid: string;
  /** Chunks on it; 0 in format 1, where only its own label lists them. */
  readonly chunkCount: number;
}

/** The levels below which the pool warns. */
export interface Watermarks {
  /** The minimum number of free chunks. */
  readonly chunks: number;
  /** The minimum number of components without mapped chunks. */
  readonly components: number;
  /** The minimum of free chunks, in bytes and percent; none if absent. */
  readonly space?: SpaceMark;
  /** The percentage of used chunks that counts as low; none if absent. */
  readonly usedPercent?: number;
  /** The minimum that file systems have free; none if absent. */
  readonly host?: SpaceMark;
}

/** A minimum of free space; the larger of the two holds. */
export interface SpaceMark {
  /** Bytes; 0 for none. */
  readonly bytes: number;
  /** Percent of all space; 0 for none. */
  readonly percent: number;
}

/** What a pool does as space runs out. The defaults are those of an open. */
export interface SpaceSettings {
  /** What a write does when there is no chunk for it; default `delay`. */
  readonly onFull?: FullPolicy;
  /**
   * How long such a write waits, seconds up to 2,147,483; 0, the default, for
   * no limit.
   */
  readonly fullTimeoutSeconds?: number;
  /** Bytes that may wait before backpressure slows clients; default 64 MiB. */
  readonly maxDelayedBytes?: number;
  /** Warn when fewer chunks are free; default 100. */
  readonly chunkWatermark?: number;
  /** Warn when fewer components are unused; default 1. */
  readonly componentWatermark?: number;
  /** Warn when less than so much of the pool is free; default never. */
  readonly spaceWatermark?: SpaceMark;
  /** Warn when so many percent of the pool are used; 0, the default, never. */
  readonly usedWatermark?: number;
  /**
   * Warn when a file system under a component has less than so much free, as
   * `Pool.lookAtHosts()` finds it; default never.
   */
  readonly hostWatermark?: SpaceMark;
}

/** The settings of an open pool. */
export interface PoolSettings {
  /** The pool's name. */
  readonly name: string;
  /** The id that distinguishes pools of the same name: a UUID, or a number. */
  readonly id: string;
  /** Bytes of a chunk. */
  readonly chunkSize: number;
  /** Whether the pool refuses writes. */
  readonly readOnly: boolean;
  /** Why it does, if the caller did not request that; else "" or absent. */
  readonly writeReason?: string;
  /** Members that were not found; if there are any, the pool is read-only. */
  readonly missing: readonly MissingMember[];
  /** Whether to show older versions where a newer one may be on those. */
  readonly olderVersions?: boolean;
  /** Warnings to show as long as the pool is open, one sentence each. */
  readonly warnings: readonly string[];
  /** What a write does that needs a new chunk when none is free. */
  readonly onFull: FullPolicy;
  /** How long such a write waits at most, seconds; 0 for no limit. */
  readonly fullTimeoutSeconds: number;
  /** Bytes of delayed writes above which the pool applies backpressure. */
  readonly maxDelayedBytes: number;
  /** How long a stop waits for remote components, seconds; default 30. */
  readonly stopSeconds?: number | undefined;
  /** The levels below which the pool warns. */
  readonly watermarks: Watermarks;
  /**
   * Opens the components that are added.
   *
   * @internal
   */
  readonly openDevice?: OpenDevice;
  /**
   * Receives the events of the pool.
   *
   * @internal
   */
  readonly onEvent: (event: PoolEvent) => void;
}

/**
 * Checks how long a write may wait for space.
 *
 * @param seconds The time; 0 for no limit.
 * @returns The time.
 * @throws {VirstorError} `invalid` if no timer can keep it.
 */
export function checkedFullTimeout(seconds: number): number {
  if (seconds >= 0 && seconds <= FULL_TIMEOUT_MAX) return seconds;
  throw new VirstorError(
    "invalid",
    `Cannot wait ${counted(seconds, "second")} for space: it is 0 to ` +
      `${FULL_TIMEOUT_MAX} seconds`,
  );
}
