/**
 * Goal: an `fdatasync` is waited for on the spot only where it was quick again
 * and again, and has little to write; who was deceived is more careful. Method:
 * the figures that it learns from.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { QUICK_BYTES, QuickSyncs } from "../../../device/quick_syncs.ts";

/** How many quick ones it takes until one is expected to be quick. */
function needed(syncs: QuickSyncs): number {
  for (let count = 0;; count++) {
    if (syncs.expects(1)) return count;
    assert(count < 100_000, "it is never quick");
    syncs.took(0.1, false);
  }
}

Deno.test("an fdatasync is waited for after many quick ones, if it is small", () => {
  const syncs = new QuickSyncs();
  assertEquals(needed(syncs), 16);
  assert(syncs.expects(QUICK_BYTES));
  assert(!syncs.expects(QUICK_BYTES + 1));
  assert(!syncs.expects(Infinity), "what is not known may be much");
  syncs.took(2, true);
  assert(syncs.expects(1), "2 ms are quick");
});

Deno.test("after a slow fdatasync many have to be quick again", () => {
  const syncs = new QuickSyncs();
  needed(syncs);
  syncs.took(2.1, false);
  assertEquals(needed(syncs), 16);
  for (let i = 0; i < 15; i++) syncs.took(0.1, false);
  syncs.took(50, false);
  assertEquals(needed(syncs), 16, "not in all, but in a row");
});

Deno.test("whoever waited for a slow fdatasync is more careful each time", () => {
  const syncs = new QuickSyncs();
  const counts = Array.from({ length: 10 }, () => {
    const count = needed(syncs);
    syncs.took(1000, true);
    return count;
  });
  const doubled = [16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 4096];
  assertEquals(counts, doubled);
});
