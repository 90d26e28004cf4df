/**
 * How long requests took, and for how many exports that is known.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import {
  Batch,
  ExportTimes,
  RequestTimes,
} from "../../../nbd/server/export/mod.ts";
import { COMMAND_READ, COMMAND_WRITE } from "../../../nbd/wire/mod.ts";

Deno.test("a batch notes its requests when it ends, and older ones at once", () => {
  const times = new RequestTimes();
  const batch = new Batch(times);
  batch.since = performance.now() - 1000;
  for (let i = 0; i < 5; i++) batch.answered(COMMAND_READ, batch.since);
  assertEquals(times.of(COMMAND_READ).count, 0);
  batch.answered(COMMAND_WRITE, batch.since - 1000);
  assertEquals(times.of(COMMAND_WRITE).count, 1);
  batch.end();
  batch.end();
  assertEquals(times.of(COMMAND_READ).count, 5);
  assert(times.of(COMMAND_READ).seconds >= 5);
  assert(times.of(COMMAND_WRITE).seconds >= 2);
  // 5 is above 4 and not above 8.
  assertEquals(times.batches.indexOf(1), 3);
  assertEquals(times.batchedRequests, 5);
});

Deno.test("exports beyond the limit count for the server only", () => {
  const used = new Set(["kept"]);
  const all = new ExportTimes((name) => used.has(name));
  all.of("kept").of(COMMAND_READ).note(1);
  for (let i = 0; i < 1500; i++) all.of(`s${i}`).of(COMMAND_READ).note(1);
  const { byExport, others } = all.copy();
  assertEquals(byExport.size, 1000);
  assertEquals([byExport.has("kept"), byExport.has("s0")], [true, false]);
  assertEquals(others.of(COMMAND_READ).count, 501);
});
