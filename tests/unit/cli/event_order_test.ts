/**
 * The order of the events of several pools.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { inOrder } from "../../../cli/commands/events.ts";

Deno.test("events are in the order of time, and of one pool in their own", () => {
  const at = (...times: string[]) => times.map((time) => ({ time }));
  const times = (...pools: { time: string }[][]) =>
    inOrder(pools).map(({ time }) => time).join(" ");
  assertEquals(times(at("1", "4"), at("2", "3")), "1 2 3 4");
  // The clock was set back between them.
  assertEquals(times(at("5", "1", "2")), "5 1 2");
  assertEquals(times(at("5", "1", "6"), at("4", "7")), "4 5 1 6 7");
});
