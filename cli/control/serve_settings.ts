/**
 * The settings of a server that `virstor set` changes while it serves.
 *
 * @module
 */

import type { FullPolicy, SpaceMark } from "../../pool/mod.ts";
import type { LogLevel } from "../terminal/mod.ts";

/** All settings: those of a pool, then those of the whole process. */
export interface ServeSettings {
  /** What a write does that needs a new chunk when none is free. */
  readonly onFull: FullPolicy;
  /** How long such a write waits, seconds; 0 for no limit. */
  readonly fullTimeoutSeconds: number;
  /** Bytes of delayed writes above which clients are slowed. */
  readonly maxDelayed: number;
  /** Warn when fewer chunks are free. */
  readonly chunkWatermark: number;
  /** Warn when less than so much of the pool is free. */
  readonly spaceWatermark: SpaceMark;
  /** Warn when fewer components are unused. */
  readonly componentWatermark: number;
  /** Warn when less than so much of a file system below is free. */
  readonly hostWatermark: SpaceMark;
  /** Bytes of each component that is added by itself; 0 for none. */
  readonly autoExtend: number;
  /** The percentage of used chunks at which one is added. */
  readonly autoExtendAt: number;
  /** The most bytes of all components together; 0 for none. */
  readonly autoExtendMax: number;
  /** The directory of the new components, absolute; "" for none. */
  readonly autoExtendIn: string;
  /** The most that an evacuation moves, bytes a second; 0 for no limit. */
  readonly evacuationRate: number;
  /** The most clients at once. */
  readonly maxClients: number;
  /** Seconds after which an idle client is disconnected; 0 for never. */
  readonly idleTimeoutSeconds: number;
  /** Seconds that requests in flight may hold up the end. */
  readonly graceSeconds: number;
  /** Lines of the log of this level and more important ones are written. */
  readonly logLevel: LogLevel;
}
