/**
 * Format 1, that of FreeBSD's gvirstor: the label and the allocation map.
 *
 * @module
 */

export {
  COMPONENT_ALLOCATED,
  COMPONENT_CURRENT,
  COMPONENT_JOINING,
  decodeFreebsdLabel,
  encodeFreebsdLabel,
  FREEBSD_COMPONENTS_MAX,
  FREEBSD_LABEL_OFFSET,
  FREEBSD_LABEL_SIZE,
  FREEBSD_NAME_LENGTH_MAX,
  FREEBSD_SECTOR_SIZES,
  freebsdChunkCount,
  freebsdLabelOffset,
  isFreebsdLabel,
  SECTOR_SIZE,
} from "./label.ts";
export type { FreebsdLabel } from "./label.ts";
export {
  decodeFreebsdMapEntry,
  encodeFreebsdMapEntry,
  FREEBSD_MAP_ENTRY_OFFSET,
  FREEBSD_MAP_ENTRY_SIZE,
  FREEBSD_MAP_GRAIN,
  freebsdMapSize,
  freebsdReservedChunks,
} from "./map.ts";
export type { FreebsdMapEntry } from "./map.ts";
