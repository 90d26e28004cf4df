/**
 * Block devices: the interface that every disk of virstor implements, and the
 * devices that are not pools: files, memory, and slices of other devices.
 *
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { MemoryDevice, SliceDevice } from "@virstor/virstor/device";
 *
 * const disk = new MemoryDevice(2 ** 20);
 * const half = new SliceDevice(disk, 2 ** 19, 2 ** 19);
 * await half.write(new Uint8Array([7]), 0);
 * const byte = new Uint8Array(1);
 * await disk.read(byte, 2 ** 19);
 * assertEquals(byte[0], 7);
 * ```
 *
 * @module
 */

export { MemoryDevice, SliceDevice } from "./block/mod.ts";
export type {
  BlockDevice,
  Completion,
  DeviceCapabilities,
  Extent,
  ExtentKind,
  KeptBytes,
  MemoryDeviceOptions,
  WriteOptions,
  WriteZeroesOptions,
} from "./block/mod.ts";
export { createSparseFile, FileDevice } from "./file/mod.ts";
export type { FileDeviceOptions, FileLock } from "./file/mod.ts";
export type { Transfers } from "./leases/mod.ts";
