/**
 * Format 2, the native format.
 *
 * @module
 */

export { tableOf } from "./native_member.ts";
export { readNativePool } from "./native_open.ts";
export type { ReadOptions } from "./native_open.ts";
export { scanTable } from "./native_scan.ts";
export { rebuildSuperblocks } from "./rebuild_superblock.ts";
