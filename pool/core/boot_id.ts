/**
 * The id of this boot of the system: it tells a killed process, whose writes
 * are still in the page cache, from a power cut.
 *
 * @module
 */

import { readSmallFile } from "../../device/linux/mod.ts";
import { isUuid } from "../../metadata/common/mod.ts";

/** Where Linux tells it: see proc(5). */
const BOOT_ID_PATH = "/proc/sys/kernel/random/boot_id";
/** More bytes than it has. */
const BOOT_ID_LIMIT = 64;

/**
 * Reads the id of this boot.
 *
 * @returns A UUID; a new one where the system tells none, so that an open takes
 *   every unclean end for a power cut.
 */
export function readBootId(): string {
  const text = readSmallFile(BOOT_ID_PATH, BOOT_ID_LIMIT).trim();
  return isUuid(text) ? text : crypto.randomUUID();
}
