/**
 * Sizes and tables, as people write and read them.
 *
 * @module
 */
import { assertEquals, assertThrows } from "@std/assert";
import { VirstorError } from "../../errors.ts";
import {
  formatSeconds,
  formatSize,
  parseSize,
} from "../../cli/terminal/size.ts";
import { textTable } from "../../cli/terminal/text_table.ts";
import { UsageError } from "../../cli/terminal/usage_error.ts";

Deno.test("parseSize() takes K M G T P, also as KiB, MiB, ...", () => {
  const sizes: Record<string, number> = {
    "0": 0,
    "512": 512,
    "512B": 512,
    "4k": 4096,
    "4K": 4096,
    "4KiB": 4096,
    "4kB": 4096,
    "512MiB": 512 * 1024 ** 2,
    "1.5G": 1.5 * 1024 ** 3,
    "2T": 2 * 1024 ** 4,
    "8P": 2 ** 53,
  };
  for (const [text, bytes] of Object.entries(sizes)) {
    assertEquals(parseSize(text, "size"), bytes, text);
  }
});

Deno.test("parseSize() refuses what is no size", () => {
  for (
    const text of ["", "-1", "1X", "1iB", "K", "1e3", "0x10", "1 2", "1KK"]
  ) {
    assertThrows(() => parseSize(text, "size"), UsageError, "Cannot read size");
  }
  assertThrows(() => parseSize("0.3K", "size"), UsageError, "not a whole");
});

Deno.test("parseSize() refuses more than 2^53 bytes", () => {
  for (const text of ["8.1P", "9P", "99999999999999999999"]) {
    const error = assertThrows(() => parseSize(text, "size"), VirstorError);
    assertEquals(error.code, "invalid");
  }
});

Deno.test("formatSize() takes the largest unit that fits, rounded down", () => {
  assertEquals(formatSize(0), "0 B");
  assertEquals(formatSize(1023), "1023 B");
  assertEquals(formatSize(1024), "1 KiB");
  assertEquals(formatSize(64 * 1024 ** 2), "64 MiB");
  assertEquals(formatSize(1024 ** 3 - 1), "1023.99 MiB");
  assertEquals(formatSize(2 ** 53), "8 PiB");
});

Deno.test("formatSeconds() gives two units at most", () => {
  assertEquals(formatSeconds(0.25), "0.2 s");
  assertEquals(formatSeconds(59.9), "59 s");
  assertEquals(formatSeconds(302), "5 min 2 s");
  assertEquals(formatSeconds(11_045), "3 h 4 min");
});

Deno.test("textTable() sets numbers flush right, and all else left", () => {
  assertEquals(
    textTable([["Name", "Size"], ["a", "1 KiB"], ["long", "-"]]),
    "Name   Size\na     1 KiB\nlong      -",
  );
});
