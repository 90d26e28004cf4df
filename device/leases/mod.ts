/**
 * Chunks that other threads may read and write by themselves, and the disk
 * that such a thread sees.
 *
 * @module
 */

export { CacheWatch } from "./cache_watch.ts";
export { LENT_FILES_MAX } from "./lent_flush.ts";
export type { LentFile, LentFlush, LentResult } from "./lent_flush.ts";
export { LeasedDisk } from "./leased_disk.ts";
export { LEASE_THREADS_MAX, LeaseTable } from "./leases.ts";
export type {
  LeasedWork,
  LeaseMemory,
  Leases,
  LentDescriptor,
} from "./leases.ts";
