/**
 * The interface that every disk has, and the devices that need no file:
 * memory, a slice of another, and how work on a device takes turns.
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
  WriteOptions,
  WriteZeroesOptions,
} from "./block_device.ts";
export { joinParts } from "./join_parts.ts";
export type { JoinOptions } from "./join_parts.ts";
export { MemoryDevice } from "./memory_device.ts";
export type { MemoryDeviceOptions } from "./memory_device.ts";
export { SliceDevice } from "./slice_device.ts";
export { Slice, SLICE_MS, Turns, turns } from "./turns.ts";
export type { Bell } from "./turns.ts";
