/**
 * Numbers of chunks in a sentence: a removal that was interrupted may leave
 * millions of them.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { chunkRanges } from "../../../pool/core/chunk_ranges.ts";

Deno.test("chunkRanges() lists neighbours as ranges, and the first of many", () => {
  assertEquals(chunkRanges([7]), "7");
  assertEquals(chunkRanges([3, 9, 8, 4, 1, 5]), "1, 3 to 5, 8 to 9");
  const odd = Array.from({ length: 100_000 }, (_, i) => 2 * i + 1);
  assertEquals(
    chunkRanges(odd),
    "1, 3, 5, 7, 9, 11, 13, 15, ... and 99992 more",
  );
});
