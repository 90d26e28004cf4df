/**
 * Short texts as UTF-8, beside the runtime's encoder and decoder.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { getUtf8, putUtf8, utf8Size } from "../../../metadata/common/mod.ts";

const TEXTS = [
  "",
  "a",
  "\0\x7f",
  "\x80",
  "\u07ff\u0800",
  "\u{feff}mark",
  "\ud7ff\ue000\uffff",
  "\u{10000}\u{10ffff}",
  "tuesday €",
  "clone \u{1f4be}",
  "x".repeat(255),
  "x".repeat(1000),
  "€".repeat(1000),
];

Deno.test("texts are UTF-8 as the runtime makes it, and are read back", () => {
  for (const text of TEXTS) {
    const wanted = new TextEncoder().encode(text);
    assertEquals(utf8Size(text), wanted.length, text);
    const bytes = new Uint8Array(wanted.length + 10).fill(0xee);
    assertEquals(putUtf8(text, bytes, 4), wanted.length, text);
    assertEquals(bytes.subarray(4, 4 + wanted.length), wanted, text);
    assertEquals(bytes.subarray(4 + wanted.length)[0], 0xee);
    assertEquals(getUtf8(wanted), text);
  }
});

Deno.test("getUtf8() knows bytes that are not UTF-8", () => {
  for (const hex of ["80", "c0af", "eda080", "f4908080", "61ff", "e282"]) {
    assertEquals(getUtf8(Uint8Array.fromHex(hex)), undefined, hex);
  }
});
