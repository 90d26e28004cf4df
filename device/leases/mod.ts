/**
 * Chunks that other threads may read and write by themselves, and the disk
 * that such a thread sees.
 *
 * @module
 */

export { CacheWatch } from "./cache_watch.ts";
export { LeasedDisk } from "./leased_disk.ts";
export { LEASE_THREADS_MAX, LeaseTable } from "./leases.ts";
export type { LeaseMemory, Leases, LentDescriptor } from "./leases.ts";
export { addTransfers } from "./transfers.ts";
export type { Transfers } from "./transfers.ts";
