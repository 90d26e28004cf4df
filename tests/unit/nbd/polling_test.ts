/**
 * Goal: a connection is asked again and again only where that has paid.
 * Method: the rule itself, fed with batches.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import {
  POLL_AFTER,
  POLL_PAUSE_MAX,
  POLL_PAUSE_MIN,
} from "../../../nbd/wire/limits.ts";
import { Polling } from "../../../nbd/server/transmission/polling.ts";

/** How many batches of one request it takes until it is tried. */
function batchesUntilTried(polling: Polling): number {
  for (let batches = 1; batches <= 4 * POLL_PAUSE_MAX; batches++) {
    if (polling.isWorthIt(1)) return batches;
  }
  throw new Error("It is never tried");
}

/** One whose client has sent one request at a time for long enough. */
function startedPolling(): Polling {
  const polling = new Polling();
  batchesUntilTried(polling);
  return polling;
}

Deno.test("polling begins after some requests that came alone", () => {
  assertEquals(batchesUntilTried(new Polling()), POLL_AFTER);
});

Deno.test("polling goes on for as long as something comes", () => {
  const polling = startedPolling();
  for (let i = 0; i < 3 * POLL_PAUSE_MAX; i++) {
    polling.ended(false);
    assert(polling.isWorthIt(1), `not after ${i} times`);
  }
});

Deno.test("requests that come together end polling, and it begins anew", () => {
  const polling = startedPolling();
  polling.ended(false);
  assert(!polling.isWorthIt(2));
  assertEquals(batchesUntilTried(polling), POLL_AFTER);
  polling.ended(false);
  assert(!polling.isWorthIt(1000));
  assertEquals(batchesUntilTried(polling), POLL_AFTER);
});

Deno.test("a part of a request neither begins polling nor ends it", () => {
  const fresh = new Polling();
  for (let i = 0; i < 2 * POLL_AFTER; i++) assert(!fresh.isWorthIt(0));
  assertEquals(batchesUntilTried(fresh), POLL_AFTER);
  fresh.ended(false);
  assert(fresh.isWorthIt(0), "a long WRITE comes in parts");
});

Deno.test("polling in vain is not tried for a while, then for a longer one", () => {
  const polling = startedPolling();
  for (let pause = POLL_PAUSE_MIN; pause <= POLL_PAUSE_MAX; pause *= 2) {
    polling.ended(true);
    assertEquals(batchesUntilTried(polling), pause + 1);
  }
  polling.ended(true);
  assertEquals(batchesUntilTried(polling), POLL_PAUSE_MAX + 1, "the longest");
});

Deno.test("polling that succeeds makes the next pause short again", () => {
  const polling = startedPolling();
  for (let i = 0; i < 4; i++) {
    polling.ended(true);
    batchesUntilTried(polling);
  }
  polling.ended(false);
  assert(polling.isWorthIt(1), "no pause after a success");
  polling.ended(true);
  assertEquals(batchesUntilTried(polling), POLL_PAUSE_MIN + 1);
});
