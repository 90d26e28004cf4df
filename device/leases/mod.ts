/**
 * Leases: chunks that other threads may read and write without the owner of the
 * device, and the leased disk that such a thread uses.
 *
 * @module
 */

export { CacheWatch } from "./cache_watch.ts";
export { LeasedDisk } from "./leased_disk.ts";
export { LEASE_SOURCES_MAX, LEASE_THREADS_MAX, LeaseTable } from "./leases.ts";
export type { LeaseMemory, Leases, LentDescriptor } from "./leases.ts";
export { LeasedFlush } from "./leased_flush.ts";
export { SyncLine, SyncLines } from "./sync_line.ts";
export { addCounts } from "./transfers.ts";
export type { Transfers } from "./transfers.ts";
