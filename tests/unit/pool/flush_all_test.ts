/**
 * Goal: several devices are flushed at once; one that fails hides no other.
 * Method: devices that note what they are asked for.
 *
 * @module
 */

import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import type { Completion } from "../../../device/mod.ts";
import { flushAll } from "../../../pool/core/flush_all.ts";

/** Devices with names; those that fail begin with `x`. */
function devices(names: string[], calls: string[], later = false) {
  return names.map((name) => ({
    flush(): Completion {
      calls.push(name);
      const error = name.startsWith("x") ? new Error(name) : undefined;
      if (later) return error ? Promise.reject(error) : Promise.resolve();
      if (error) throw error;
    },
  }));
}

Deno.test("flushAll() waits for no device before all have begun", async () => {
  const calls: string[] = [];
  const done = flushAll(devices(["a", "b"], calls, true));
  assertEquals(calls, ["a", "b"]);
  await done;
  assertEquals(flushAll(devices(["c"], calls)), undefined);
});

Deno.test("flushAll() fails if one of the devices does", async () => {
  const later = devices(["a", "x1", "b"], [], true);
  await assertRejects(async () => await flushAll(later), Error, "x1");
  const mixed = [...devices(["x1"], [], true), ...devices(["x2"], [])];
  // The failure of the first must not be one that nobody handles.
  assertThrows(() => flushAll(mixed), Error, "x2");
});
