/**
 * What is on disk: one module for each structure, no I/O.
 *
 * @module
 */

export {
  COMPONENT_ALLOCATED,
  COMPONENT_CURRENT,
  decodeFreebsdLabel,
  encodeFreebsdLabel,
  FREEBSD_COMPONENTS_MAX,
  FREEBSD_LABEL_OFFSET,
  FREEBSD_LABEL_SIZE,
  FREEBSD_NAME_LENGTH_MAX,
  freebsdChunkCount,
  freebsdLabelOffset,
  isFreebsdLabel,
  SECTOR_SIZE,
} from "./freebsd_label.ts";
export type { FreebsdLabel } from "./freebsd_label.ts";
export {
  decodeFreebsdMapEntry,
  encodeFreebsdMapEntry,
  FREEBSD_MAP_ENTRY_OFFSET,
  FREEBSD_MAP_ENTRY_SIZE,
  FREEBSD_MAP_GRAIN,
  freebsdMapSize,
  freebsdReservedChunks,
} from "./freebsd_map.ts";
export type { FreebsdMapEntry } from "./freebsd_map.ts";
