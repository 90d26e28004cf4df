/**
 * Goal: an `fdatasync` is waited for on the spot only where it was quick again
 * and again, and has little to write; who was deceived is more careful. Method:
 * the figures that it learns from.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { QUICK_BYTES, QuickSyncs } from "../../../device/file/quick_syncs.ts";

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

Deno.test("after slow fdatasyncs more have to be quick", () => {
  const syncs = new QuickSyncs();
  needed(syncs);
  syncs.took(2.1, false);
  assertEquals(needed(syncs), 16);
  for (let i = 0; i < 1000; i++) syncs.took(0.1, true);
  for (let i = 0; i < 4; i++) syncs.took(50, true);
  assert(syncs.expects(1), "a few among many do not matter");
  syncs.took(50, true);
  assertEquals(needed(syncs), 16);
  for (let i = 0; i < 1000; i++) syncs.took(0.1, true);
  syncs.took(101, false);
  assertEquals(needed(syncs), 16, "a long one makes up for all");
});

Deno.test("where one in ten fdatasyncs is slow none is waited for", () => {
  const syncs = new QuickSyncs();
  needed(syncs);
  for (let i = 0; i < 1000; i++) syncs.took(i % 10 === 0 ? 5 : 0.1, false);
  assert(!syncs.expects(1));
});

Deno.test("whoever waited for a long fdatasync is more careful each time", () => {
  const syncs = new QuickSyncs();
  const counts = Array.from({ length: 10 }, () => {
    const count = needed(syncs);
    syncs.took(1000, true);
    return count;
  });
  const doubled = [16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 4096];
  assertEquals(counts, doubled);
});
