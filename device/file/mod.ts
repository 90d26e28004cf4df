/**
 * The only access to a file descriptor: files and block devices as block devices,
 * which other processes use them, and how they are claimed.
 *
 * @module
 */

export type { BlankRanges, FileRange } from "./blank_ranges.ts";
export { FileInUseError } from "./claim.ts";
export type { FileLock } from "./claim.ts";
export { FileDevice } from "./file_device.ts";
export type { FileDeviceOptions } from "./file_device_options.ts";
export type { FileLength } from "./file_length.ts";
export { FileSync } from "./file_sync.ts";
export type { FlushObserver, SyncedFile } from "./file_sync.ts";
export { findFileUses } from "./file_users.ts";
export type { FileUse } from "./file_users.ts";
export {
  createSparseFile,
  fileIdentity,
  putFileAside,
  removeFile,
  setFileSize,
} from "./files.ts";
export { allocateFile, hostSpaceAt } from "./host_space.ts";
export type { HostSpace } from "./host_space.ts";
export { missingDirectory } from "./missing_directory.ts";
