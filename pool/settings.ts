/**
 * What does not change while a pool is open.
 *
 * @module
 */

import type { FullPolicy, PoolEvent } from "./status.ts";
import type { Watermarks } from "./watermarks.ts";

/** What does not change while a pool is open. */
export interface PoolSettings {
  /** Its name. */
  readonly name: string;
  /** Its random number. */
  readonly id: number;
  /** Bytes of the virtual disk. */
  readonly virtualSize: number;
  /** Bytes of a chunk. */
  readonly chunkSize: number;
  /** Whether writes are refused. */
  readonly readOnly: boolean;
  /** What a write does when there is no chunk for it. */
  readonly onFull: FullPolicy;
  /** How long it waits, seconds; 0 for ever. */
  readonly fullTimeout: number;
  /** Bytes that may wait before those who send them are slowed. */
  readonly maxDelayedBytes: number;
  /** When to warn. */
  readonly watermarks: Watermarks;
  /** Told what happens. */
  readonly onEvent: (event: PoolEvent) => void;
}
