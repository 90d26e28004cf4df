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
} from "../../metadata/mod.ts";

/** Rows `| offset | type | name | ... |` under a heading. */
async function tableUnder(
  heading: string,
): Promise<{ offset: number; size: number; name: string }[]> {
  const text = await Deno.readTextFile(
    new URL("../../docs/format.md", import.meta.url),
  );
  const start = text.indexOf(`\n## ${heading}\n`);
  const section = text.slice(start + 1).split("\n## ", 1)[0] ?? "";
  const rows = section.matchAll(
    /^\| (\d+) +\| (char\[(\d+)\]|u(\d+)) +\| (\w+) +\|/gm,
  );
  return [...rows].map(([, offset, , characters, bits, name = ""]) => ({
    offset: Number(offset),
    size: characters === undefined ? Number(bits) / 8 : Number(characters),
    name,
  }));
}

for (
  const [heading, offsets, size] of [
    ["The label", FREEBSD_LABEL_OFFSET, FREEBSD_LABEL_SIZE],
    ["The map", FREEBSD_MAP_ENTRY_OFFSET, FREEBSD_MAP_ENTRY_SIZE],
  ] as const
) {
  Deno.test(`docs/format.md has the offsets of "${heading}" as the code has them`, async () => {
    const rows = await tableUnder(heading);
    const documented = rows.map(({ name, offset }) => [name, offset]);
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
