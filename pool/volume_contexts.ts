/**
 * The metadata contexts of a volume.
 *
 * @module
 */

import { readableOf, type VolumeParts } from "./io/mod.ts";
import { type StatusContext, statusContexts } from "./status_contexts.ts";

/**
 * Makes what clients can ask of ranges of a volume, as it is now.
 *
 * @param parts The volume.
 * @param isWritable Returns whether the volume takes writes.
 * @returns The contexts.
 */
export function volumeContexts(
  parts: VolumeParts,
  isWritable: () => boolean,
): StatusContext[] {
  const { base: { settings, format }, firstWrites } = parts;
  const { delayed, limits } = firstWrites;
  const { view } = readableOf(parts);
  const own = { map: view, delayed, limits, isWritable };
  return statusContexts({ settings, format, ...own });
}
