/**
 * The allocation map of format 1, held against the table a second time.
 *
 * @module
 */

import { assertEquals, assertThrows } from "@std/assert";
import { AssertionError } from "../../../errors.ts";
import {
  decodeFreebsdMapEntry,
  encodeFreebsdMapEntry,
  FREEBSD_MAP_ENTRY_OFFSET,
  FREEBSD_MAP_ENTRY_SIZE,
  FREEBSD_MAP_GRAIN,
  freebsdMapSize,
  freebsdReservedChunks,
} from "../../../metadata/freebsd/mod.ts";
import { entryBytes } from "../../helpers/freebsd_raw.ts";

function encoded(component: number, chunk: number): Uint8Array {
  const bytes = new Uint8Array(FREEBSD_MAP_ENTRY_SIZE).fill(0xee);
  encodeFreebsdMapEntry(component, chunk, new DataView(bytes.buffer));
  return bytes;
}

Deno.test("FREEBSD_MAP_ENTRY_OFFSET is the table of the format", () => {
  assertEquals(FREEBSD_MAP_ENTRY_OFFSET, { flags: 0, component: 2, chunk: 4 });
  assertEquals(FREEBSD_MAP_ENTRY_SIZE, 8);
  assertEquals(FREEBSD_MAP_GRAIN, 512 / 8);
});

Deno.test("encodeFreebsdMapEntry() gives the bytes of the example", () => {
  const bytes = encoded(0x0102, 0x03040506);
  assertEquals([...bytes], [1, 0, 0x02, 0x01, 0x06, 0x05, 0x04, 0x03]);
});

Deno.test("decodeFreebsdMapEntry() gives back every place that encodeFreebsdMapEntry() wrote", () => {
  for (const component of [0, 1, 255, 256, 65_534, 65_535]) {
    for (const chunk of [0, 1, 255, 65_536, 2 ** 31, 2 ** 32 - 1]) {
      const bytes = encoded(component, chunk);
      const entry = { flags: 1, component, chunk };
      assertEquals(bytes, entryBytes([entry]));
      assertEquals(
        decodeFreebsdMapEntry(new DataView(bytes.buffer), 0),
        { allocated: true, component, chunk },
      );
    }
  }
});

Deno.test("decodeFreebsdMapEntry() looks at the flag 1 only", () => {
  const flags = [0, 1, 2, 3, 0xfffe, 0xffff];
  const bytes = entryBytes(
    flags.map((each) => ({ flags: each, component: 7, chunk: 9 })),
  );
  const view = new DataView(bytes.buffer);
  assertEquals(
    flags.map((_, i) => decodeFreebsdMapEntry(view, i * 8)),
    [false, true, false, true, false, true].map((allocated) => ({
      allocated,
      component: 7,
      chunk: 9,
    })),
  );
});

Deno.test("encodeFreebsdMapEntry() does not write what has no room", () => {
  assertThrows(() => encoded(65_536, 0), AssertionError);
  assertThrows(() => encoded(0, 2 ** 32), AssertionError);
});

Deno.test("freebsdReservedChunks() is twice what the map needs", () => {
  const mib = 2 ** 20;
  const tib = 2 ** 40;
  // As gvirstor says of its defaults: a map of 4 MiB, one chunk, twice.
  assertEquals(freebsdMapSize(2 * tib, 4 * mib), 4 * mib);
  assertEquals(freebsdReservedChunks(2 * tib, 4 * mib), 2);
  assertEquals(freebsdReservedChunks(2 * tib + 64 * 4 * mib, 4 * mib), 4);
  assertEquals(freebsdReservedChunks(64 * 128 * 1024, 128 * 1024), 2);
  assertEquals(freebsdMapSize(2 ** 53, 2 ** 31), 32 * mib);
  assertEquals(freebsdReservedChunks(2 ** 53, 2 ** 31), 2);
});
