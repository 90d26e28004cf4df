/**
 * The label of format 1, held against the table a second time, and against
 * everything that can be wrong with it.
 *
 * @module
 */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { AssertionError, VirstorError } from "../../../errors.ts";
import {
  COMPONENT_ALLOCATED,
  COMPONENT_CURRENT,
  decodeFreebsdLabel,
  encodeFreebsdLabel,
  FREEBSD_COMPONENTS_MAX,
  FREEBSD_LABEL_OFFSET,
  FREEBSD_LABEL_SIZE,
  FREEBSD_NAME_LENGTH_MAX,
  freebsdChunkCount,
  type FreebsdLabel,
  freebsdLabelOffset,
  isFreebsdLabel,
  SECTOR_SIZE,
} from "../../../metadata/freebsd/mod.ts";
import {
  LABEL_TABLE,
  labelSector,
  putFields,
  type RawLabel,
  takeFields,
} from "../../helpers/freebsd_raw.ts";

/** Every number tells its field; the sizes go together. */
const LABEL: FreebsdLabel = {
  name: "demo",
  id: 0xa1b2c3d4,
  virtualSize: 2 * 2 ** 40,
  chunkSize: 4 * 2 ** 20,
  count: 0x0302,
  index: 0x0201,
  hardcodedName: "disk0.img",
  componentSize: 0x12_3456_7800,
  chunkCount: 0x4800,
  chunkNext: 0x1234,
  chunkReserved: 0x0405,
  flags: 3,
};
const RAW: RawLabel = { ...LABEL, magic: "GEOM::VIRSTOR", version: 1 };

/** `LABEL` as FreeBSD keeps it: 16 bytes a line. */
const HEX = `
  47 45 4f 4d 3a 3a 56 49 52 53 54 4f 52 00 00 00
  01 00 00 00 64 65 6d 6f 00 00 00 00 00 00 00 00
  00 00 00 00 00 00 00 00 00 02 00 00 00 00 40 00
  d4 c3 b2 a1 02 03 64 69 73 6b 30 2e 69 6d 67 00
  00 00 00 00 00 00 01 02 00 78 56 34 12 00 00 00
  00 48 00 00 34 12 00 00 05 04 03 00`;

function hexBytes(text: string): Uint8Array {
  const words = text.trim().split(/\s+/);
  return Uint8Array.from(words, (word) => Number.parseInt(word, 16));
}

function encoded(label: FreebsdLabel): Uint8Array {
  const sector = new Uint8Array(SECTOR_SIZE).fill(0xee);
  encodeFreebsdLabel(label, sector);
  return sector;
}

Deno.test("FREEBSD_LABEL_OFFSET is the table of the format", () => {
  const table: Record<string, number> = {};
  for (const [field, offset] of LABEL_TABLE) table[field] = offset;
  assertEquals({ ...FREEBSD_LABEL_OFFSET }, table);
  const sizes = { text: 16, u16: 2, u32: 4, u64: 8 };
  let end = 0;
  for (const [field, offset, type] of LABEL_TABLE) {
    assertEquals(offset, end, `nothing lies before ${field}`);
    end = offset + sizes[type];
  }
  assertEquals(FREEBSD_LABEL_SIZE, end);
  assertEquals(FREEBSD_LABEL_SIZE, 92);
  assertEquals([SECTOR_SIZE, FREEBSD_NAME_LENGTH_MAX], [512, 15]);
  assertEquals([COMPONENT_ALLOCATED, COMPONENT_CURRENT], [1, 2]);
  assertEquals(FREEBSD_COMPONENTS_MAX, 65_535);
});

Deno.test("encodeFreebsdLabel() gives the bytes of the example, and zeroes after them", () => {
  const sector = encoded(LABEL);
  assertEquals(sector.subarray(0, 92), hexBytes(HEX));
  assertEquals(sector.subarray(92), new Uint8Array(420));
  assertEquals(sector, labelSector(RAW));
});

Deno.test("decodeFreebsdLabel() reads the bytes of the example, whatever follows them", () => {
  for (const junk of [0, 0xff, 0x47]) {
    const sector = new Uint8Array(SECTOR_SIZE).fill(junk);
    sector.set(hexBytes(HEX));
    assertEquals(decodeFreebsdLabel(sector, "c0"), LABEL);
  }
});

Deno.test("decodeFreebsdLabel() reads a sector in the middle of a buffer", () => {
  const buffer = new Uint8Array(2000).fill(0x55);
  const sector = buffer.subarray(777, 777 + SECTOR_SIZE);
  encodeFreebsdLabel(LABEL, sector);
  assertEquals(decodeFreebsdLabel(sector, "c0"), LABEL);
  assertEquals([buffer[776], buffer[777 + SECTOR_SIZE]], [0x55, 0x55]);
});

Deno.test("decodeFreebsdLabel() gives back every field that encodeFreebsdLabel() wrote", () => {
  const changes: Partial<FreebsdLabel>[] = [
    { name: "a" },
    { name: "fifteen-letters" },
    { name: "~!#$%&*()" },
    { id: 0 },
    { id: 0xffff_ffff },
    { virtualSize: 64 * 4 * 2 ** 20 },
    { virtualSize: 2 ** 53 },
    { chunkSize: 2 ** 31, chunkCount: 1, chunkReserved: 1 },
    { chunkSize: 512, chunkCount: 0xffff_ffff, componentSize: 2 ** 43 },
    { componentSize: 2 ** 53 },
    { count: 1 },
    { count: 65_535, index: 65_534 },
    { index: 0 },
    { index: 65_535 }, // On its way out of the pool.
    { hardcodedName: "" },
    { hardcodedName: "fifteen-letters" },
    { chunkCount: 0x0405 },
    { chunkNext: 0xffff_ffff },
    { chunkReserved: 0 },
    { flags: 0 },
    { flags: 0xffff },
  ];
  for (const change of changes) {
    const label = { ...LABEL, ...change };
    const sector = encoded(label);
    assertEquals(decodeFreebsdLabel(sector, "c0"), label);
    assertEquals(takeFields(sector), { ...RAW, ...change });
  }
});

Deno.test("encodeFreebsdLabel() does not write what would not be read again", () => {
  const unsound: Partial<FreebsdLabel>[] = [
    { name: "" },
    { name: "sixteen-letters-" },
    { name: "two words" },
    { count: 0 },
    { chunkSize: 1000 },
    { virtualSize: 1000 },
    { virtualSize: 2 ** 54 },
    { componentSize: 1000 },
    { chunkCount: 0x123_4568 },
    { chunkReserved: 0x4801 },
    { hardcodedName: "sixteen-letters-" },
  ];
  for (const change of unsound) {
    const sector = new Uint8Array(SECTOR_SIZE);
    assertThrows(
      () => encodeFreebsdLabel({ ...LABEL, ...change }, sector),
      AssertionError,
    );
  }
  assertThrows(
    () => encodeFreebsdLabel(LABEL, new Uint8Array(SECTOR_SIZE - 1)),
    AssertionError,
  );
});

const REFUSALS: readonly (readonly [Partial<RawLabel>, string, string])[] = [
  [{ magic: "" }, "not-found", "no label"],
  [{ magic: "GEOM::VIRSTOR2" }, "not-found", "no label"],
  [{ magic: "GEOM::STRIPE" }, "not-found", "no label"],
  [{ version: 0 }, "unsupported", "version is 0, expected 1"],
  [{ version: 2 }, "unsupported", "version is 2, expected 1"],
  [{ name: "" }, "corrupt", "name"],
  [{ name: "a b" }, "corrupt", 'name is "a b"'],
  [{ name: "a\nb" }, "corrupt", 'name is "a?b"'],
  [{ name: "b\xe9" }, "corrupt", 'name is "b?"'],
  [{ name: "sixteen-letters-" }, "corrupt", "name"],
  [{ count: 0 }, "corrupt", "no components"],
  [{ chunkSize: 0 }, "corrupt", "chunk size is 0"],
  [{ chunkSize: 511 }, "corrupt", "chunk size is 511"],
  [{ chunkSize: 513 }, "corrupt", "chunk size is 513"],
  [{ virtualSize: 0 }, "corrupt", "virtual size is 0"],
  [{ virtualSize: 2 ** 21 }, "corrupt", "whole chunks"],
  [{ virtualSize: 2 ** 40 + 512 }, "corrupt", "whole chunks"],
  [{ virtualSize: 63 * 2 ** 22 }, "corrupt", "whole map sectors"],
  [{ virtualSize: 2 ** 53 + 2 ** 28 }, "corrupt", "above 8 PiB"],
  [{ virtualSize: 2 ** 63 }, "corrupt", "above 8 PiB"],
  [{ componentSize: 0 }, "corrupt", "chunks"],
  [{ componentSize: 513 }, "corrupt", "whole sectors"],
  [{ componentSize: 2 ** 54 }, "corrupt", "component's size"],
  [{ chunkCount: 0x48d2 }, "corrupt", "more than fit"],
  [{ chunkCount: 0xffff_ffff }, "corrupt", "more than fit"],
  [{ chunkReserved: 0x4801 }, "corrupt", "reserved"],
  [{ hardcodedName: "sixteen-letters-" }, "corrupt", "name"],
  [{ hardcodedName: "caf\xe9" }, "corrupt", "name"],
];

for (const [change, code, message] of REFUSALS) {
  const field = JSON.stringify(change);
  Deno.test(`decodeFreebsdLabel() refuses ${field} and names the component`, () => {
    const sector = labelSector({ ...RAW, ...change });
    const error = assertThrows(
      () => decodeFreebsdLabel(sector, "disks/c0"),
      VirstorError,
      message,
    );
    assertEquals(error.code, code);
    assert(error.message.includes('"disks/c0"'), error.message);
    assert(/^[ -~]*$/.test(error.message), "one line of plain text");
  });
}

Deno.test("decodeFreebsdLabel() refuses 8 PiB and a little more, which is no exact number", () => {
  for (const field of [36, 72]) {
    const base = { ...RAW, virtualSize: 2 ** 53, componentSize: 2 ** 53 };
    for (const low of [1n, 2n, 511n]) {
      const sector = labelSector(base);
      const view = new DataView(sector.buffer);
      view.setBigUint64(field, 2n ** 53n + low, true);
      const error = assertThrows(
        () => decodeFreebsdLabel(sector, "c0"),
        VirstorError,
      );
      assertEquals(error.code, "corrupt");
    }
  }
});

/** Other labels whose neighbours are worth a look. */
const FLIPPED: readonly Partial<RawLabel>[] = [
  {},
  { hardcodedName: "", count: 1, index: 0, chunkReserved: 2 },
  { virtualSize: 2 ** 53, componentSize: 2 ** 53 },
  { chunkSize: 512, virtualSize: 64 * 512, chunkCount: 100 },
  { name: "fifteen-letters", hardcodedName: "fifteen-letters" },
];

for (const change of FLIPPED) {
  Deno.test(`decodeFreebsdLabel() reads rightly or refuses each flipped bit of a label with ${JSON.stringify(change)}`, () => {
    const sound = labelSector({ ...RAW, ...change });
    let refused = 0;
    for (let bit = 0; bit < SECTOR_SIZE * 8; bit++) {
      const sector = sound.slice();
      sector[bit >> 3] = (sector[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      let label: FreebsdLabel;
      try {
        label = decodeFreebsdLabel(sector, "c0");
      } catch (error) {
        assert(error instanceof VirstorError, `bit ${bit}: ${error}`);
        refused++;
        continue;
      }
      // What it takes for a label is what is there, and can be written again.
      const raw = takeFields(sector);
      const wanted = { ...label, magic: "GEOM::VIRSTOR", version: 1 };
      assertEquals(wanted, raw, `bit ${bit}`);
      assertEquals(takeFields(encoded(label)), raw, `bit ${bit}`);
    }
    assert(refused > 100);
  });
}

Deno.test("isFreebsdLabel() looks at the magic only", () => {
  const sector = new Uint8Array(SECTOR_SIZE);
  assert(!isFreebsdLabel(sector));
  putFields(sector, { magic: "GEOM::VIRSTOR" });
  assert(isFreebsdLabel(sector));
  putFields(sector, { magic: "GEOM::VIRSTO" });
  assert(!isFreebsdLabel(sector));
});

Deno.test("freebsdLabelOffset() is the last whole sector", () => {
  assertEquals(freebsdLabelOffset(1024), 512);
  assertEquals(freebsdLabelOffset(1023), 0);
  assertEquals(freebsdLabelOffset(1535), 512);
  assert(freebsdLabelOffset(511) < 0);
  assert(freebsdLabelOffset(0) < 0);
  assertEquals(freebsdLabelOffset(2 ** 53 - 512), 2 ** 53 - 1024);
});

Deno.test("freebsdChunkCount() leaves the last sector free at every size", () => {
  const chunk = 4 * 2 ** 20;
  assertEquals(freebsdChunkCount(chunk, chunk), 0);
  assertEquals(freebsdChunkCount(chunk + 511, chunk), 0);
  assertEquals(freebsdChunkCount(chunk + 512, chunk), 1);
  assertEquals(freebsdChunkCount(0, chunk), 0);
  // 32 bits wrap at 4 GiB, and at 2^32 sectors.
  for (const size of [2 ** 31, 2 ** 32, 2 ** 33, 2 ** 41, 2 ** 42]) {
    for (const more of [-513, -512, -1, 0, 1, 511, 512, 513]) {
      const count = freebsdChunkCount(size + more, chunk);
      const room = BigInt(size + more) / 512n * 512n - 512n;
      assertEquals(BigInt(count), room / BigInt(chunk), `${size} + ${more}`);
    }
  }
});
