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
  WriteOptions,
  WriteZeroesOptions,
} from "./block_device.ts";
export { FileDevice } from "./file_device.ts";
export type { FileDeviceOptions, FlushObserver } from "./file_device.ts";
export { createSparseFile, fileIdentity } from "./files.ts";
export type { FileLock } from "./files.ts";
export { MemoryDevice } from "./memory_device.ts";
export type { MemoryDeviceOptions } from "./memory_device.ts";
export { SliceDevice } from "./slice_device.ts";
