/**
 * How a file or a block device is opened.
 *
 * @module
 */

import type { FileLock } from "./claim.ts";

/** How a file is opened. */
export interface FileDeviceOptions {
  /** Open for reading only. */
  readonly readOnly?: boolean;
  /** The lock to take; default `none`. Taken at once or not at all. */
  readonly lock?: FileLock;
  /** Bytes to use of a file that is larger; all of it unless given. */
  readonly size?: number;
  /** `false`: do without native calls, as where there are none. */
  readonly native?: boolean;
}
