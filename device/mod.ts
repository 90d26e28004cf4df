/**
 * Block devices: the interface, and the devices that are not pools.
 *
 * @module
 */

export {
  abandon,
  isFaithfulName,
  joinParts,
  MemoryDevice,
  Slice,
  SLICE_MS,
  SliceDevice,
  Turns,
  turns,
} from "./block/mod.ts";
export type {
  Bell,
  BlockDevice,
  Completion,
  DeviceCapabilities,
  Extent,
  ExtentKind,
  JoinOptions,
  MemoryDeviceOptions,
  WriteOptions,
  WriteZeroesOptions,
} from "./block/mod.ts";
export {
  createSparseFile,
  FileDevice,
  fileIdentity,
  FileInUseError,
  findFileUses,
  missingDirectory,
  removeFile,
} from "./file/mod.ts";
export type {
  BlankRanges,
  FileDeviceOptions,
  FileLock,
  FileRange,
  FileUse,
  FlushObserver,
  LentSync,
} from "./file/mod.ts";
export { LEASE_THREADS_MAX, LeasedDisk, LeaseTable } from "./leases/mod.ts";
export type {
  LeaseMemory,
  Leases,
  LentDescriptor,
  LentFile,
  LentFlush,
  LentResult,
  Transfers,
} from "./leases/mod.ts";
export {
  ignoreSignal,
  isSignalIgnored,
  NativeBuffer,
  probeWithBlkid,
  returnLargeBlocks,
  trimMemory,
} from "./linux/mod.ts";
export type { BlkidFinding, OpenElsewhere } from "./linux/mod.ts";
