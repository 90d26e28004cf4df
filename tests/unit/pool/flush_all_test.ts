/**
 * Goal: several devices are flushed at once, also where each may be waited for
 * on the spot; one that fails hides no other. Method: devices that note what
 * they are asked for.
 *
 * @module
 */

import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import type { Completion, FlushOptions } from "../../../device/mod.ts";
import { flushAll } from "../../../pool/core/flush_all.ts";

/** Devices with names; those that fail begin with `x`. */
function devices(names: string[], calls: string[], later = false) {
  return names.map((name) => ({
    startFlush: () => void calls.push(`start ${name}`),
    flush(options?: FlushOptions): Completion {
      calls.push(`flush ${name}${options?.mayBlock === true ? " here" : ""}`);
      const error = name.startsWith("x") ? new Error(name) : undefined;
      if (later) return error ? Promise.reject(error) : Promise.resolve();
      if (error) throw error;
    },
  }));
}

Deno.test("flushAll() has all devices begin before one is waited for", () => {
  const calls: string[] = [];
  flushAll(devices(["a", "b"], calls), { mayBlock: true });
  const flushes = ["flush a here", "flush b here"];
  assertEquals(calls, ["start a", "start b", ...flushes]);
});

Deno.test("flushAll() has none begin where that gains nothing", async () => {
  const calls: string[] = [];
  flushAll(devices(["a"], calls), { mayBlock: true });
  await flushAll(devices(["b", "c"], calls, true));
  assertEquals(calls, ["flush a here", "flush b", "flush c"]);
});

Deno.test("flushAll() fails if one of the devices does", async () => {
  const later = devices(["a", "x1", "b"], [], true);
  await assertRejects(async () => await flushAll(later), Error, "x1");
  const mixed = [...devices(["x1"], [], true), ...devices(["x2"], [])];
  // The failure of the first must not be one that nobody handles.
  assertThrows(() => flushAll(mixed), Error, "x2");
});
