/**
 * Block devices: the interface, and the devices that are not pools.
 *
 * @module
 */

export { abandon } from "./block_device.ts";
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
export type { BlankRanges, FileRange } from "./blank_ranges.ts";
export { FileInUseError, type FileLock } from "./claim.ts";
export { FileDevice } from "./file_device.ts";
export type { FileDeviceOptions } from "./file_device_options.ts";
export type { FlushObserver } from "./file_sync.ts";
export { type FileUse, findFileUses } from "./file_users.ts";
export {
  createSparseFile,
  fileIdentity,
  isFaithfulName,
  removeFile,
} from "./files.ts";
export { ignoreSignal, isSignalIgnored } from "./ignored_signals.ts";
export { joinParts } from "./join_parts.ts";
export type { JoinOptions } from "./join_parts.ts";
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
export { missingDirectory } from "./missing_directory.ts";
export { type BlkidFinding, probeWithBlkid } from "./native_blkid.ts";
export type { OpenElsewhere } from "./native_files.ts";
export { NativeBuffer } from "./native_io.ts";
export { returnLargeBlocks, trimMemory } from "./native_memory.ts";
export { type AcceptedConnection, NativeSockets } from "./native_sockets.ts";
export { SliceDevice } from "./slice_device.ts";
export { type Bell, Slice, SLICE_MS, Turns, turns } from "./turns.ts";
