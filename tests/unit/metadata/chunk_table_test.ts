/**
 * A page of the chunk table of format 2, held against the table a second time,
 * and against everything that can be wrong with it.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { assert, assertEquals, assertThrows } from "@std/assert";
import { AssertionError } from "../../../errors.ts";
import {
  checkPage,
  CHUNK_ENTRY_SIZE,
  clearEntry,
  copyEntries,
  entryDigest,
  entrySequence,
  entryVirtualChunk,
  isOwned,
  NATIVE_PAGE_SIZE,
  NEVER_WRITTEN,
  pageGeneration,
  pickSlot,
  sameEntries,
  sealPage,
  setEntry,
  TABLE_PAGE_ENTRIES,
  TABLE_SLOTS_SIZE,
  VIRTUAL_CHUNKS_MAX,
} from "../../../metadata/native/mod.ts";
import {
  ENTRY_TABLE,
  PAGE_BYTES,
  PAGE_TABLE,
  putRaw,
  type RawValues,
  sealRawPage,
  withFlippedBit,
} from "../../helpers/native_raw.ts";

const UUID = Uint8Array.fromHex("00112233445566778899aabbccddeeff");
const POSITION = 0x0123_4567_89000;
const INDEX = 0x0a0b_0c0d;
const GENERATION = 0x12_3456_789a_bcde;

/** Entries with numbers that fill their fields. */
const ENTRIES = [
  { index: 0, virtualChunk: 0, sequence: 1 },
  { index: 1, virtualChunk: 2 ** 48 - 1, sequence: 2 ** 53 - 1 },
  { index: 7, virtualChunk: 0x1234_5678_9abc, sequence: 0x1_2345_6789 },
  { index: 167, virtualChunk: 2 ** 32, sequence: 2 ** 32 },
] as const;

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function sealed(
  generation = GENERATION,
  position = POSITION,
  index = INDEX,
): Uint8Array {
  const bytes = new Uint8Array(PAGE_BYTES);
  const page = viewOf(bytes);
  for (const { index: entry, virtualChunk, sequence } of ENTRIES) {
    setEntry(page, entry, virtualChunk, sequence);
  }
  sealPage(page, position, index, UUID, generation);
  return bytes;
}

function putEntry(page: Uint8Array, index: number, values: RawValues): void {
  putRaw(page, ENTRY_TABLE, values, 48 + index * 24);
}

/** The same page, from the tables, with changes and its checksum. */
function rawPage(change: RawValues = {}, entry7: RawValues = {}): Uint8Array {
  const page = new Uint8Array(PAGE_BYTES);
  putRaw(page, PAGE_TABLE, {
    magic: new TextEncoder().encode("VCTP"),
    generation: GENERATION,
    position: POSITION,
    pageIndex: INDEX,
    componentUuid: UUID,
  });
  for (const { index, virtualChunk, sequence } of ENTRIES) {
    putEntry(page, index, { virtualChunk, sequence, flags: 1 });
  }
  putRaw(page, PAGE_TABLE, change);
  putEntry(page, 7, entry7);
  sealRawPage(page);
  return page;
}

function check(page: Uint8Array): string {
  return checkPage(page, POSITION, INDEX, UUID);
}

Deno.test("the constants of the chunk table are those of the format", () => {
  assertEquals([NATIVE_PAGE_SIZE, TABLE_PAGE_ENTRIES], [4096, 168]);
  assertEquals([CHUNK_ENTRY_SIZE, VIRTUAL_CHUNKS_MAX], [24, 2 ** 48]);
  assertEquals(48 + 168 * 24 + 16, PAGE_BYTES);
});

Deno.test("setEntry() and sealPage() give the bytes of the tables", () => {
  const page = sealed();
  assertEquals(page, rawPage());
  assertEquals(check(page), "");
  assertEquals(pageGeneration(viewOf(page)), GENERATION);
});

Deno.test("entries of volume 0 and birth 0 have the bytes and the digests that they always had", () => {
  assertEquals(
    createHash("sha256").update(sealed()).digest("hex"),
    "f0c406b0e0e97678ff6028483bbed1fa0f3c24a5cf507e60788e103f437e778e",
  );
  const first = { volume: 0, birth: 0, isProvisional: false };
  for (
    const [chunk, virtualChunk, sequence, digest] of [
      [1, 7, 258, 1_030_451_895],
      [2 ** 32 - 2, 2 ** 48 - 1, 2 ** 53 - 1, 3_710_764_861],
      [0, 0, 1, 2_309_939_338],
    ] as const
  ) {
    assertEquals(entryDigest(chunk, virtualChunk, sequence), digest);
    assertEquals(entryDigest(chunk, virtualChunk, sequence, first), digest);
  }
});

Deno.test("sealPage() overwrites the seal of another slot", () => {
  const page = sealed(1, 4096, 3);
  sealPage(viewOf(page), POSITION, INDEX, UUID, GENERATION);
  assertEquals(page, rawPage());
});

Deno.test("a page in the middle of a buffer leaves what is around it alone", () => {
  const buffer = new Uint8Array(PAGE_BYTES + 200).fill(0x55);
  const bytes = buffer.subarray(77, 77 + PAGE_BYTES);
  bytes.set(sealed());
  setEntry(viewOf(bytes), 100, 5, 6);
  clearEntry(viewOf(bytes), 100);
  sealPage(viewOf(bytes), POSITION, INDEX, UUID, GENERATION);
  assertEquals(bytes, rawPage());
  assertEquals([buffer[76], buffer[77 + PAGE_BYTES]], [0x55, 0x55]);
  assertEquals(check(bytes), "");
});

Deno.test("an entry reads as it was set, and its neighbours as they were", () => {
  const page = viewOf(sealed());
  for (let index = 0; index < TABLE_PAGE_ENTRIES; index++) {
    const entry = ENTRIES.find((each) => each.index === index);
    assertEquals(isOwned(page, index), entry !== undefined);
    assertEquals(entryVirtualChunk(page, index), entry?.virtualChunk ?? 0);
    assertEquals(entrySequence(page, index), entry?.sequence ?? 0);
  }
});

Deno.test("clearEntry() leaves zeroes, and setEntry() nothing of what was there", () => {
  const bytes = new Uint8Array(PAGE_BYTES).fill(0xff);
  clearEntry(viewOf(bytes), 3);
  assertEquals(bytes.subarray(48 + 72, 48 + 96), new Uint8Array(24));
  assertEquals([bytes[48 + 71], bytes[48 + 96]], [0xff, 0xff]);
  setEntry(viewOf(bytes), 4, 1, 2);
  const wanted = new Uint8Array(24);
  putRaw(wanted, ENTRY_TABLE, { virtualChunk: 1, sequence: 2, flags: 1 });
  assertEquals(bytes.subarray(48 + 96, 48 + 120), wanted);
  assertEquals(bytes[48 + 120], 0xff);
});

Deno.test("copyEntries() leaves the rest of a page as it was", () => {
  const page = new Uint8Array(PAGE_BYTES).fill(0xee);
  copyEntries(sealed(), page);
  const wanted = new Uint8Array(PAGE_BYTES).fill(0xee);
  wanted.set(rawPage().subarray(48, 4080), 48);
  assertEquals(page, wanted);
  // A copy has all that a seal needs.
  const copy = new Uint8Array(PAGE_BYTES);
  copyEntries(page, copy);
  sealPage(viewOf(copy), POSITION, INDEX, UUID, GENERATION);
  assertEquals(copy, rawPage());
});

Deno.test("sameEntries() looks at all the entries and at nothing else", () => {
  const page = sealed();
  assert(sameEntries(page, page));
  for (let byte = 0; byte < PAGE_BYTES; byte++) {
    const other = withFlippedBit(page, byte * 8 + byte % 8);
    const isEntry = byte >= 48 && byte < 4080;
    assertEquals(sameEntries(page, other), !isEntry, `byte ${byte}`);
    assertEquals(sameEntries(other, page), !isEntry, `byte ${byte}`);
  }
  // Two slots of a page: seals differ.
  assert(sameEntries(page, sealed(GENERATION - 1, POSITION + 4096)));
});

Deno.test("copyEntries() and sameEntries() take whole pages only", () => {
  const page = new Uint8Array(PAGE_BYTES);
  for (const size of [0, 4080, PAGE_BYTES - 1, TABLE_SLOTS_SIZE]) {
    const other = new Uint8Array(size);
    assertThrows(() => copyEntries(page, other), AssertionError);
    assertThrows(() => copyEntries(other, page), AssertionError);
    assertThrows(() => sameEntries(page, other), AssertionError);
    assertThrows(() => sameEntries(other, page), AssertionError);
  }
});

Deno.test("setEntry() and sealPage() do not write what has no room", () => {
  const page = viewOf(new Uint8Array(PAGE_BYTES));
  for (const index of [-1, 168, NaN]) {
    assertThrows(() => setEntry(page, index, 0, 1), AssertionError);
    assertThrows(() => clearEntry(page, index), AssertionError);
    assertThrows(() => isOwned(page, index), AssertionError);
  }
  for (const chunk of [-1, 0.5, 2 ** 48, NaN]) {
    assertThrows(() => setEntry(page, 0, chunk, 1), AssertionError);
  }
  for (const number of [0, -1, 0.5, 2 ** 53, NaN]) {
    assertThrows(() => setEntry(page, 0, 0, number), AssertionError);
    assertThrows(() => sealPage(page, 0, 0, UUID, number), AssertionError);
  }
  assertThrows(() => sealPage(page, 512, 0, UUID, 1), AssertionError);
  for (const index of [-1, 2 ** 32, 0.5]) {
    assertThrows(() => sealPage(page, 0, index, UUID, 1), AssertionError);
  }
  const short = UUID.subarray(1);
  assertThrows(() => sealPage(page, 0, 0, short, 1), AssertionError);
  assertEquals(new Uint8Array(page.buffer), new Uint8Array(PAGE_BYTES));
});

/** What is wrong with a page whose checksum is right; words. */
const REFUSALS: readonly [RawValues, string][] = [
  [{ magic: 0 }, "no page of a chunk table"],
  [{ magic: "PTCV" }, "no page of a chunk table"],
  [{ generation: 0 }, "generation is out of range"],
  [{ generation: 2n ** 53n }, "generation is out of range"],
  [{ generation: 2n ** 64n - 1n }, "generation is out of range"],
  [{ position: POSITION + 4096 }, `belongs at byte ${POSITION + 4096}`],
  [{ position: 2n ** 63n }, "belongs at byte"],
  [{ pageIndex: 5 }, `it is page 5, not ${INDEX}`],
  [{ componentUuid: Uint8Array.of(1) }, "another component"],
  [{ reserved28: 1 }, "reserved bytes"],
  [{ reserved28: 0x8000_0000 }, "reserved bytes"],
  [{ reserved4080: Uint8Array.of(1) }, "reserved bytes"],
  [{ reserved4080: new Uint8Array(16).fill(1, 15) }, "reserved bytes"],
];
/** The same for entry 7. */
const ENTRY_REFUSALS: readonly [RawValues, string][] = [
  [{ flags: 0 }, "entry 7 is free and not zero"],
  [{ flags: 2 }, "entry 7 has unknown flags"],
  [{ flags: 4 }, "entry 7 has unknown flags"],
  [{ flags: 5 }, "entry 7 has unknown flags"],
  [{ flags: 7 }, "entry 7 has unknown flags"],
  [{ flags: 0x8000_0001 }, "entry 7 has unknown flags"],
  [{ sequence: 0 }, "sequence number of entry 7"],
  [{ sequence: 2n ** 53n }, "sequence number of entry 7"],
  [{ sequence: 2n ** 63n }, "sequence number of entry 7"],
];

Deno.test("checkPage() says what is wrong with each field", () => {
  for (const [change, finding] of REFUSALS) {
    const found = check(rawPage(change));
    assert(found.includes(finding), `${found}, not ${finding}`);
  }
  for (const [change, finding] of ENTRY_REFUSALS) {
    const found = check(rawPage({}, change));
    assert(found.includes(finding), `${found}, not ${finding}`);
  }
});

Deno.test("checkPage() refuses each bit set in a free entry", () => {
  const flags = 20 * 8;
  for (let bit = 0; bit < flags; bit++) {
    const page = withFlippedBit(sealed(), (48 + 42 * 24) * 8 + bit);
    sealRawPage(page);
    assertEquals(check(page), "entry 42 is free and not zero");
  }
});

Deno.test("checkPage() tells a slot that was never written from anything else", () => {
  const page = new Uint8Array(PAGE_BYTES);
  assertEquals(check(page), NEVER_WRITTEN);
  for (const byte of [0, 3, 4, 2047, 4095]) {
    const other = page.slice();
    other[byte] = 1;
    assertEquals(check(other), "it holds no page of a chunk table");
  }
  assertEquals(check(page.fill(0xff)), "it holds no page of a chunk table");
});

Deno.test("checkPage() refuses each flipped bit", () => {
  const page = sealed();
  for (let bit = 0; bit < PAGE_BYTES * 8; bit++) {
    const found = check(withFlippedBit(page, bit));
    const wanted = bit < 32
      ? "it holds no page of a chunk table"
      : "its checksum is wrong";
    assertEquals(found, wanted, `bit ${bit}`);
  }
});

Deno.test("checkPage() refuses a page that was torn at any sector", () => {
  const older = sealed();
  const newer = sealed();
  // A change in the last entry, so that every sector counts.
  setEntry(viewOf(newer), 167, 1, GENERATION);
  sealPage(viewOf(newer), POSITION, INDEX, UUID, GENERATION + 1);
  for (let torn = 512; torn < PAGE_BYTES; torn += 512) {
    for (const [front, back] of [[newer, older], [older, newer]] as const) {
      const page = front.slice();
      page.set(back.subarray(torn), torn);
      assertEquals(check(page), "its checksum is wrong");
    }
    const first = newer.slice().fill(0, torn);
    assertEquals(check(first), "its checksum is wrong");
  }
});

Deno.test("checkPage() refuses the right bytes in the wrong place", () => {
  const page = sealed();
  const other = UUID.slice();
  other[15] = 0;
  assertEquals(
    checkPage(page, POSITION, INDEX, other),
    "it belongs to another component",
  );
  assertEquals(
    checkPage(page, POSITION + 4096, INDEX, UUID),
    `it belongs at byte ${POSITION}`,
  );
  assertEquals(
    checkPage(page, POSITION + 2 ** 32, INDEX, UUID),
    `it belongs at byte ${POSITION}`,
  );
  assertEquals(
    checkPage(page, POSITION, INDEX + 1, UUID),
    `it is page ${INDEX}, not ${INDEX + 1}`,
  );
});

/** Three slots with these generations; 0 leaves a slot as never written. */
function slotsOf(generations: readonly number[]): Uint8Array {
  const slots = new Uint8Array(TABLE_SLOTS_SIZE);
  for (const [slot, generation] of generations.entries()) {
    const start = slot * PAGE_BYTES;
    if (generation > 0) slots.set(sealed(generation, POSITION + start), start);
  }
  return slots;
}

function pick(slots: Uint8Array): number {
  return pickSlot(slots, POSITION, INDEX, UUID);
}

Deno.test("pickSlot() takes the highest generation, wherever it lies", () => {
  assertEquals(pick(slotsOf([0, 0, 0])), -1);
  for (
    const [generations, wanted] of [
      [[1, 0, 0], 0],
      [[0, 1, 0], 1],
      [[0, 0, 1], 2],
      [[1, 2, 3], 2],
      [[3, 1, 2], 0],
      [[2, 3, 1], 1],
      [[3, 2, 0], 0],
      [[2 ** 32 - 1, 2 ** 32, 1], 1],
      [[2 ** 53 - 1, 2 ** 53 - 2, 2 ** 53 - 3], 0],
    ] as const
  ) assertEquals(pick(slotsOf(generations)), wanted, `${generations}`);
});

Deno.test("pickSlot() takes the first sound one of slots that are alike in age", () => {
  for (
    const [damaged, wanted] of [
      [[], 0],
      [[0], 1],
      [[1], 0],
      [[0, 1], 2],
      [[0, 1, 2], -1],
    ] as const
  ) {
    const slots = slotsOf([4, 4, 4]);
    for (const slot of damaged) slots[slot * PAGE_BYTES + 3000] = 1;
    assertEquals(pick(slots), wanted, `${damaged}`);
    // Also when the damage makes them look newer than any page can be.
    for (const slot of damaged) {
      slots.fill(0xff, slot * PAGE_BYTES + 8, slot * PAGE_BYTES + 16);
    }
    assertEquals(pick(slots), wanted, `${damaged}`);
  }
});

Deno.test("pickSlot() passes over slots that are not sound", () => {
  const slots = slotsOf([3, 2, 1]);
  slots[3000] = 1;
  assertEquals(pick(slots), 1);
  slots[4096 + 8 + 6] = 0xff; // A generation beyond any.
  assertEquals(pick(slots), 2);
  slots[8192] = 0;
  assertEquals(pick(slots), -1);
  // The right page in the slot of another one.
  const moved = slotsOf([0, 2, 1]);
  moved.copyWithin(0, 4096, 8192);
  moved.fill(0, 4096, 8192);
  assertEquals(pick(moved), 2);
});

Deno.test("pickSlot() gives an older slot or none for each flipped bit of the newest", () => {
  const slots = slotsOf([7, 9, 8]);
  const alone = slotsOf([0, 9, 0]);
  for (let bit = 4096 * 8; bit < 8192 * 8; bit += 7) {
    assertEquals(pick(withFlippedBit(slots, bit)), 2, `bit ${bit}`);
    assertEquals(pick(withFlippedBit(alone, bit)), -1, `bit ${bit}`);
  }
});
