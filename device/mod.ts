/**
 * Block devices: the interface, and the devices that are not pools.
 *
 * @module
 */

export { abandon, both } from "./block_device.ts";
export type {
  BlockDevice,
  Completion,
  DeviceCapabilities,
  Extent,
  ExtentKind,
  FlushOptions,
  WriteOptions,
  WriteZeroesOptions,
} from "./block_device.ts";
export { FileDevice } from "./file_device.ts";
export type { FileDeviceOptions } from "./file_device.ts";
export type { FlushObserver } from "./file_sync.ts";
export { createSparseFile, fileIdentity } from "./files.ts";
export type { FileLock } from "./files.ts";
export { LeasedDisk } from "./leased_disk.ts";
export { LEASE_THREADS_MAX, LeaseTable } from "./leases.ts";
export type {
  LeasedWork,
  LeaseMemory,
  Leases,
  LentDescriptor,
} from "./leases.ts";
export { MemoryDevice } from "./memory_device.ts";
export type { MemoryDeviceOptions } from "./memory_device.ts";
export { NativeBuffer } from "./native_io.ts";
export { returnLargeBlocks, trimMemory } from "./native_memory.ts";
export { type AcceptedConnection, NativeSockets } from "./native_sockets.ts";
export { SliceDevice } from "./slice_device.ts";
export { type Bell, Slice, SLICE_MS, Turns, turns } from "./turns.ts";
