/**
 * The names of pools, volumes and snapshots of format 2.
 *
 * @module
 */

import { utf8Size } from "../common/mod.ts";

/** The maximum length of a name, bytes of UTF-8. */
export const NATIVE_NAME_SIZE_MAX = 255;

/**
 * Whether a text is a valid name of a pool: 1 to 255 bytes of UTF-8, without
 * control characters.
 *
 * @param name Any text.
 * @returns Whether it is valid.
 */
export function isNativeName(name: string): boolean {
  return name !== "" && !/\p{Cc}/u.test(name) && name.isWellFormed() &&
    utf8Size(name) <= NATIVE_NAME_SIZE_MAX;
}

/**
 * Whether a text is a valid name of a volume or of a snapshot: a name of a pool
 * without `/` and `@`, so that `POOL/VOLUME@SNAPSHOT` can be taken apart from
 * its end.
 *
 * @param name Any text.
 * @returns Whether it is valid.
 */
export function isVolumeName(name: string): boolean {
  return isNativeName(name) && !/[/@]/.test(name);
}
