/**
 * Goal: a comparison never tells of what is not there any more. Method: views of
 * so many chunks that a comparison waits in the middle.
 *
 * @module
 */

import { assertEquals, assertRejects } from "@std/assert";
import { changedRanges } from "../../../pool/changed_ranges.ts";
import type { ChunkView } from "../../../pool/core/mod.ts";

const CHUNKS = 20_000;

/** A view without a chunk, which is to be looked at everywhere, slowly. */
function slowView(): ChunkView {
  return {
    virtualChunks: CHUNKS,
    component: (v) => {
      // Longer than a slice.
      const end = performance.now() + (v === 0 ? 5 : 0);
      while (performance.now() < end);
      return undefined;
    },
    chunk: () => 0,
    nextMapped: (from) => from,
  };
}

Deno.test("changedRanges() ends when its views end while it waits", async () => {
  const views = { from: slowView(), to: slowView() };
  let looks = 0;
  assertEquals(await changedRanges(views, 1, () => void looks++), []);
  const gone = () => {
    throw new Error("gone");
  };
  await assertRejects(() => changedRanges(views, 1, gone), Error, "gone");
  assertEquals(looks > 0, true);
});
