/**
 * The metadata contexts of a volume.
 *
 * @module
 */

import type { VolumeParts } from "./io/mod.ts";
import { changedContexts } from "./changed_contexts.ts";
import { type StatusContext, statusContexts } from "./status_contexts.ts";

/**
 * Makes what clients can ask of ranges of a volume.
 *
 * @param parts The volume.
 * @param isWritable Returns whether the volume takes writes.
 * @returns The contexts.
 */
export function volumeContexts(
  parts: VolumeParts,
  isWritable: () => boolean,
): StatusContext[] {
  const { map, base: { settings, format }, firstWrites: { delayed } } = parts;
  return [
    ...statusContexts({ settings, format, map: map.view, delayed, isWritable }),
    ...changedContexts(parts, { view: () => map.view }),
  ];
}
