/**
 * The owners of chunk table entries: volume, birth, and whether the entry is
 * provisional.
 *
 * @module
 */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { AssertionError } from "../../../errors.ts";
import {
  checkPage,
  clearEntry,
  entryBirth,
  entryDigest,
  type EntryOwner,
  entrySequence,
  entryVirtualChunk,
  entryVolume,
  isOwned,
  isProvisional,
  sealPage,
  setEntry,
  settleEntry,
} from "../../../metadata/mod.ts";
import { ENTRY_TABLE, PAGE_BYTES, putRaw } from "../../helpers/native_raw.ts";

const UUID = Uint8Array.fromHex("00112233445566778899aabbccddeeff");
const FIRST: EntryOwner = { volume: 0, birth: 0, isProvisional: false };
const OWNERS: readonly EntryOwner[] = [
  FIRST,
  { volume: 1, birth: 0, isProvisional: false },
  { volume: 0, birth: 1, isProvisional: false },
  { volume: 0, birth: 0, isProvisional: true },
  { volume: 1, birth: 1, isProvisional: true },
  { volume: 0xffff, birth: 0xffff_ffff, isProvisional: true },
  { volume: 0x8000, birth: 0x8000_0000, isProvisional: false },
];

function emptyPage(): { bytes: Uint8Array; page: DataView } {
  const bytes = new Uint8Array(PAGE_BYTES);
  return { bytes, page: new DataView(bytes.buffer) };
}

Deno.test("setEntry() writes the owner as the tables have it, and it reads as it was set", () => {
  for (const owner of OWNERS) {
    const { bytes, page } = emptyPage();
    bytes.fill(0xff);
    setEntry(page, 3, 2 ** 48 - 1, 2 ** 53 - 1, owner);
    const wanted = new Uint8Array(24);
    putRaw(wanted, ENTRY_TABLE, {
      sequence: 2 ** 53 - 1,
      virtualChunk: 2 ** 48 - 1,
      volume: owner.volume,
      birthEpoch: owner.birth,
      flags: owner.isProvisional ? 3 : 1,
    });
    assertEquals(bytes.subarray(48 + 72, 48 + 96), wanted);
    assertEquals([bytes[48 + 71], bytes[48 + 96]], [0xff, 0xff]);
    assertEquals(entryVolume(page, 3), owner.volume);
    assertEquals(entryBirth(page, 3), owner.birth);
    assertEquals(isProvisional(page, 3), owner.isProvisional);
    assertEquals(isOwned(page, 3), true);
    assertEquals(entryVirtualChunk(page, 3), 2 ** 48 - 1);
    assertEquals(entrySequence(page, 3), 2 ** 53 - 1);
  }
});

Deno.test("checkPage() leaves the owners of entries to its caller", () => {
  for (const owner of OWNERS) {
    const { bytes, page } = emptyPage();
    setEntry(page, 167, 5, 6, owner);
    sealPage(page, 4096, 0, UUID, 1);
    assertEquals(checkPage(bytes, 4096, 0, UUID), "");
    clearEntry(page, 167);
    sealPage(page, 4096, 0, UUID, 1);
    assertEquals(checkPage(bytes, 4096, 0, UUID), "");
    assertEquals(
      [entryVolume(page, 167), entryBirth(page, 167), isProvisional(page, 167)],
      [0, 0, false],
    );
  }
});

Deno.test("settleEntry() clears the provisional flag and nothing else", () => {
  for (const owner of OWNERS) {
    const { bytes, page } = emptyPage();
    setEntry(page, 9, 5, 6, owner);
    settleEntry(page, 9);
    const settled = emptyPage();
    setEntry(settled.page, 9, 5, 6, { ...owner, isProvisional: false });
    assertEquals(bytes, settled.bytes);
  }
  const { page } = emptyPage();
  for (const index of [9, -1, 168]) {
    assertThrows(() => settleEntry(page, index), AssertionError);
  }
});

Deno.test("setEntry() does not write an owner that has no room", () => {
  const { bytes, page } = emptyPage();
  const wrong: Partial<EntryOwner>[] = [
    { volume: -1 },
    { volume: 2 ** 16 },
    { volume: 0.5 },
    { volume: NaN },
    { birth: -1 },
    { birth: 2 ** 32 },
    { birth: 0.5 },
    { birth: NaN },
  ];
  for (const change of wrong) {
    const owner = { ...FIRST, ...change };
    assertThrows(() => setEntry(page, 0, 0, 1, owner), AssertionError);
  }
  assertEquals(bytes, new Uint8Array(PAGE_BYTES));
});

Deno.test("entryDigest() differs for each owner", () => {
  for (const [chunk, virtualChunk, sequence] of [[1, 7, 258], [0, 0, 1]]) {
    assert(chunk !== undefined && virtualChunk !== undefined);
    assert(sequence !== undefined);
    const digests = OWNERS.map((owner) =>
      entryDigest(chunk, virtualChunk, sequence, owner)
    );
    assertEquals(new Set(digests).size, OWNERS.length);
    for (const digest of digests) assertEquals(digest >>> 0, digest);
  }
});
