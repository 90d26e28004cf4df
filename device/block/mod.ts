/**
 * The block device interface, and what needs no file: devices in memory, slices
 * of devices, parts of requests, turns of the event loop, and what is measured.
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
  KeptBytes,
  WriteOptions,
  WriteZeroesOptions,
} from "./block_device.ts";
export { viewOf } from "./bytes.ts";
export {
  DeviceDurations,
  DeviceErrors,
  DURATION_BOUNDS,
  DURATION_NUMBERS,
  Durations,
} from "../measures/mod.ts";
export { joinParts } from "./join_parts.ts";
export type { JoinOptions } from "./join_parts.ts";
export { MemoryDevice } from "./memory_device.ts";
export type { MemoryDeviceOptions } from "./memory_device.ts";
export { Slabs } from "./slabs.ts";
export { SliceDevice } from "./slice_device.ts";
export { Slice, SLICE_MS, Turns, turns } from "./turns.ts";
export type { Bell } from "./turns.ts";
