/**
 * The tables of docs/format.md are those of the code.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import {
  FREEBSD_LABEL_OFFSET,
  FREEBSD_LABEL_SIZE,
  FREEBSD_MAP_ENTRY_OFFSET,
  FREEBSD_MAP_ENTRY_SIZE,
} from "../../metadata/freebsd/mod.ts";
import {
  FLUSH_MARK_OFFSET,
  FLUSH_MARK_SIZE,
  JOURNAL_HEADER_OFFSET,
  JOURNAL_HEADER_SIZE,
  JOURNAL_RECORD_OFFSET,
  JOURNAL_RECORD_SIZE,
  OWNER_BLOCK_OFFSET,
  OWNER_BLOCK_SIZE,
} from "../../metadata/journal/mod.ts";
import {
  CHUNK_ENTRY_OFFSET,
  CHUNK_ENTRY_SIZE,
  DEAD_RANGE_OFFSET,
  DEAD_RANGE_SIZE,
  NATIVE_PAGE_SIZE,
  SNAPSHOT_RECORD_OFFSET,
  SNAPSHOT_RECORD_SIZE,
  SUPERBLOCK_HEADER_SIZE,
  SUPERBLOCK_MEMBER_OFFSET,
  SUPERBLOCK_MEMBER_SIZE,
  SUPERBLOCK_OFFSET,
  TABLE_PAGE_OFFSET,
  VOLUME_RECORD_OFFSET,
  VOLUME_RECORD_SIZE,
} from "../../metadata/native/mod.ts";

/** Rows `| offset | type | name | ... |` under a heading. */
async function tableUnder(
  heading: string,
): Promise<{ offset: number; size: number; name: string }[]> {
  const text = await Deno.readTextFile(
    new URL("../../docs/format.md", import.meta.url),
  );
  const start = text.indexOf(`\n### ${heading}\n`);
  const section = text.slice(start + 1).split(/\n##+ /, 1)[0] ?? "";
  const rows = section.matchAll(
    /^\| (\d+) +\| (?:(?:char|u8)\[(\d+)\]|u(\d+)) +\| (\w+) +\|/gm,
  );
  return [...rows].map(([, offset, bytes, bits, name = ""]) => ({
    offset: Number(offset),
    size: bytes === undefined ? Number(bits) / 8 : Number(bytes),
    name,
  }));
}

for (
  const [heading, offsets, size] of [
    ["The label", FREEBSD_LABEL_OFFSET, FREEBSD_LABEL_SIZE],
    ["The map", FREEBSD_MAP_ENTRY_OFFSET, FREEBSD_MAP_ENTRY_SIZE],
    ["The superblock", SUPERBLOCK_OFFSET, SUPERBLOCK_HEADER_SIZE],
    ["A member", SUPERBLOCK_MEMBER_OFFSET, SUPERBLOCK_MEMBER_SIZE],
    ["A volume", VOLUME_RECORD_OFFSET, VOLUME_RECORD_SIZE],
    ["A snapshot", SNAPSHOT_RECORD_OFFSET, SNAPSHOT_RECORD_SIZE],
    ["A dead range", DEAD_RANGE_OFFSET, DEAD_RANGE_SIZE],
    ["A page of the chunk table", TABLE_PAGE_OFFSET, NATIVE_PAGE_SIZE],
    ["The header of a journal", JOURNAL_HEADER_OFFSET, JOURNAL_HEADER_SIZE],
    ["A record of a journal", JOURNAL_RECORD_OFFSET, JOURNAL_RECORD_SIZE],
    ["The owner block", OWNER_BLOCK_OFFSET, OWNER_BLOCK_SIZE],
    ["The flush mark", FLUSH_MARK_OFFSET, FLUSH_MARK_SIZE],
    ["An entry", CHUNK_ENTRY_OFFSET, CHUNK_ENTRY_SIZE],
  ] as const
) {
  Deno.test(`docs/format.md has the offsets of "${heading}" as the code has them`, async () => {
    const rows = await tableUnder(heading);
    const documented = rows.filter(({ name }) => name !== "reserved")
      .map(({ name, offset }) => [name, offset]);
    assertEquals(
      Object.fromEntries(documented),
      Object.fromEntries(Object.entries(offsets)),
    );
    // No gap and no overlap: each field ends where the next one starts.
    rows.sort((a, b) => a.offset - b.offset);
    const ends = rows.map(({ offset, size }) => offset + size);
    const starts = rows.map(({ offset }) => offset);
    assertEquals(ends, [...starts.slice(1), size]);
    assertEquals(starts[0], 0);
  });
}
