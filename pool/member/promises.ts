/**
 * The space that new components promise, and may not have.
 *
 * @module
 */

import { allocateFile } from "../../device/file/mod.ts";
import { hostStatuses, promiseWarnings } from "../core/mod.ts";
import type { Candidate } from "./candidates.ts";

/**
 * Allocates the space of files that become components, durably. Block devices
 * have their space.
 *
 * @param candidates The files, prepared as new components.
 * @throws {VirstorError} `no-space`, `unsupported`.
 */
export async function allocateAll(
  candidates: readonly Pick<Candidate, "device">[],
): Promise<void> {
  for (const { device: { identity, path } } of candidates) {
    if (identity.startsWith("file")) await allocateFile(path);
  }
}

/** How long to wait for the file systems, milliseconds. */
const LOOK_MS = 200;

/**
 * Says which components promise more than their file systems have. Does not wait
 * long for a file system that hangs: then it says nothing.
 *
 * @param components The components, also those to be.
 * @returns A sentence for each file system.
 */
export async function promiseNotices(
  components: readonly Pick<Candidate, "device">[],
): Promise<string[]> {
  const limit = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => limit.resolve(undefined), LOOK_MS);
  const hosted = [];
  for (const { device } of components) {
    const host = await Promise.race([device.hostSpace?.(), limit.promise]);
    hosted.push({ device, host });
  }
  clearTimeout(timer);
  return promiseWarnings(hostStatuses(hosted));
}
