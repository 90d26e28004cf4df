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
export { createSparseFile, FileDevice, fileIdentity } from "./file_device.ts";
export type { FileDeviceOptions, FileLock } from "./file_device.ts";
export { MemoryDevice } from "./memory_device.ts";
export type { MemoryDeviceOptions } from "./memory_device.ts";
