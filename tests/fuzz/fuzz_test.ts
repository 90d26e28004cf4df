/**
 * Goal: no client, whatever it sends and however it leaves, gets a wrong
 * answer, harms a good client, or leaves anything behind. Method: a share of
 * the fuzzer, from the same conversations each time; `deno task fuzz` goes on.
 *
 * @module
 */

import { assert } from "@std/assert";
import { fuzz } from "./fuzz_run.ts";

/** The first conversation. */
const SEED = 1;
/** How many there are. */
const CONVERSATIONS = 1500;

Deno.test("fuzzed conversations are answered right, and do no harm", async () => {
  const { kept, judged, steady, lanes } = await fuzz({
    seed: SEED,
    goesOn: (count) => count < CONVERSATIONS,
  });
  assert(kept > CONVERSATIONS / 5, `${kept} conversations were not mutated`);
  assert(judged > CONVERSATIONS, `${judged} answers were judged`);
  // Not all: in a flood of clients most get none.
  assert(lanes > 20, `${lanes} connections had threads`);
  assert(steady > 100, `good clients have had ${steady} answers`);
});
