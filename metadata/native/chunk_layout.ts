/**
 * The layout of a page of the chunk table and of its entries. docs/format.md has
 * the same tables, and a test compares them.
 *
 * @module
 */

/** The offset of each field of a page, bytes from the start of its slot. */
export const TABLE_PAGE_OFFSET: Readonly<
  Record<
    | "magic"
    | "checksum"
    | "generation"
    | "position"
    | "pageIndex"
    | "componentUuid"
    | "entries",
    number
  >
> = {
  magic: 0,
  checksum: 4,
  generation: 8,
  position: 16,
  pageIndex: 24,
  componentUuid: 32,
  entries: 48,
};
/** Bytes of an entry. */
export const CHUNK_ENTRY_SIZE = 24;
/** The offset of each field of an entry, bytes from the start of the entry. */
export const CHUNK_ENTRY_OFFSET: Readonly<
  Record<
    "sequence" | "virtualChunk" | "volume" | "birthEpoch" | "flags",
    number
  >
> = { sequence: 0, virtualChunk: 8, volume: 14, birthEpoch: 16, flags: 20 };
