/**
 * Goal: chunks are mapped ahead of clients that write to one new chunk after
 * the other, of no others, and given back where the client does not use them.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { FirstWriteRun } from "../../../nbd/server/lanes/first_write_run.ts";
import { MappedAhead } from "../../../nbd/server/lanes/mapped_ahead.ts";
import {
  LANE_MAPPED_AHEAD_MAX,
  LANE_RUN_GAP_MS,
  LANE_RUN_MIN,
} from "../../../nbd/wire/limits.ts";
import { eventually } from "../../helpers/patience.ts";
import { testNatively } from "../../helpers/native.ts";
import {
  componentSize,
  pattern,
  readBytes,
  SMALL_CHUNK,
} from "../../helpers/scratch.ts";
import { assertSound } from "../../helpers/small_pools.ts";
import { serveOnLanes } from "./lane_serving.ts";

const CHUNK = 65_536;

/** What is mapped ahead when chunks are asked for, question by question. */
function aheadOf(...questions: number[][]): number[] {
  const run = new FirstWriteRun(CHUNK);
  return questions.map((chunks) =>
    run.take(chunks.map((chunk) => chunk * CHUNK + 5), 1000)
  );
}

/** Chunks in a row. */
function row(first: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => first + i);
}

Deno.test("as many chunks are mapped ahead as a client has written in a row", () => {
  const least = LANE_RUN_MIN;
  assertEquals(aheadOf(row(5, least - 1)), [0]);
  assertEquals(aheadOf(row(5, least)), [least]);
  assertEquals(aheadOf(row(5, least - 1), [5 + least - 1]), [0, least]);
  // What was mapped ahead counts once the client has passed it.
  const passed = [5 + 2 * least];
  assertEquals(aheadOf(row(5, least), passed), [least, 2 * least + 1]);
  // Some of it may have been lost, and is asked for.
  assertEquals(aheadOf(row(5, least), [5 + least]), [least, least + 1]);
  const all = LANE_MAPPED_AHEAD_MAX;
  assertEquals(aheadOf(row(0, 2 * all)), [all]);
  // Several WRITEs to a chunk ask for it once.
  assertEquals(aheadOf([1, 1, 1, 2, 2, ...row(3, least - 2), 3 + least - 3]), [
    least,
  ]);
});

Deno.test("nothing is mapped ahead of clients that write here and there", () => {
  const least = LANE_RUN_MIN;
  assertEquals(aheadOf([], row(5, least), []), [0, least, 0]);
  assertEquals(aheadOf(row(5, 2 * least).map((v) => 2 * v)), [0]);
  assertEquals(aheadOf(row(5, 2 * least).toReversed()), [0]);
  // The end of a run: elsewhere, before it, or beyond what was mapped ahead.
  for (const next of [0, 4, 5 + least + least + 1, 1000]) {
    assertEquals(aheadOf(row(5, least), [next]), [least, 0], `${next}`);
  }
  const gap = [5 + least, 5 + least + 3];
  assertEquals(aheadOf(row(5, least), gap), [least, 0]);
  assertEquals(aheadOf([...row(5, least), 90]), [0]);
  assertEquals(aheadOf([90, ...row(5, least)]), [least]);
});

Deno.test("nothing is mapped ahead of slow clients", () => {
  for (const late of [0, 1]) {
    const run = new FirstWriteRun(CHUNK);
    let now = 1000;
    const ahead = row(5, 3 * LANE_RUN_MIN).map((chunk) => {
      now += LANE_RUN_GAP_MS + late;
      return run.take([chunk * CHUNK], now);
    });
    const least = late === 0 ? [LANE_RUN_MIN] : [];
    assertEquals(ahead.filter((count) => count > 0).slice(0, 1), least);
  }
});

/** A pool that says what is mapped and given back, by number of the chunk. */
function recorded(most = Infinity) {
  const log: string[] = [];
  const chunkOf = (offset: number) => Math.floor(offset / CHUNK);
  const leases = {
    memory: { chunkSize: CHUNK } as MappedAheadMemory,
    mapAhead(offset: number, count: number) {
      log.push(`map ${chunkOf(offset)}+${count}`);
      return Math.min(count, most);
    },
    giveBack(offset: number, count: number) {
      log.push(`give back ${chunkOf(offset)}+${count}`);
    },
  };
  return { log, leases };
}

type MappedAheadMemory = ConstructorParameters<typeof MappedAhead>[0]["memory"];

Deno.test("what a client has had time to use is given back, all of it at its end", () => {
  const { log, leases } = recorded();
  const ahead = new MappedAhead(leases);
  ahead.map(9 * CHUNK + 7, 8);
  ahead.map(18 * CHUNK, 16);
  ahead.map(40 * CHUNK, 32);
  assertEquals(log.splice(0), [
    "map 10+8",
    "map 19+16",
    "give back 10+8",
    "map 41+32",
  ]);
  ahead.end();
  assertEquals(log.splice(0), ["give back 19+16", "give back 41+32"]);
  ahead.end();
  assertEquals(log, []);
});

Deno.test("a pool that maps less gets that back", () => {
  for (const [most, back] of [[3, ["give back 10+3"]], [0, []]] as const) {
    const { log, leases } = recorded(most);
    const ahead = new MappedAhead(leases);
    ahead.map(9 * CHUNK, 8);
    ahead.end();
    assertEquals(log, ["map 10+8", ...back]);
  }
});

Deno.test("a client that asks for no more loses what was mapped ahead", async () => {
  const { log, leases } = recorded();
  const ahead = new MappedAhead(leases, 1);
  for (const first of [10, 90]) {
    ahead.map((first - 1) * CHUNK, 8);
    await eventually("given back", () => log.length === 2);
    assertEquals(log.splice(0), [`map ${first}+8`, `give back ${first}+8`]);
  }
  // One that has asked once more is waited for again.
  for (const last of [9, 18]) ahead.map(last * CHUNK, 8);
  await eventually("given back", () => log.length === 4);
  assertEquals(log.splice(2), ["give back 10+8", "give back 19+8"]);
  log.length = 0;
  ahead.end();
  assertEquals(log, []);
});

testNatively(
  "a client that writes in a row gets chunks ahead, and the pool gets back what it leaves",
  async () => {
    const chunks = 800;
    await using serving = await serveOnLanes({
      count: 2,
      pool: { createSize: componentSize("native", chunks) },
      isEmpty: true,
    });
    const { pool, paths } = serving;
    const client = await serving.open();
    const used = () => pool.status().usedChunks;
    const written: number[] = [];
    // A busy machine may be slow enough to interrupt the run.
    while (used() <= written.length) {
      const v = 3 + written.length;
      assert(v < chunks, "chunks are mapped ahead");
      await client.write(v * SMALL_CHUNK + 10, pattern(100, v));
      written.push(v);
    }
    for (const v of row(3 + written.length, 3)) {
      await client.write(v * SMALL_CHUNK + 10, pattern(100, v));
      written.push(v);
    }
    assertEquals(pool.status().counters.writes, written.length);
    assert(serving.leased().writes >= LANE_RUN_MIN);
    client.close();
    await eventually("given back", () => used() === written.length);
    for (const v of written) {
      const found = await readBytes(pool.volume(), v * SMALL_CHUNK, 110);
      assertEquals(found.subarray(0, 10), new Uint8Array(10));
      assertEquals(found.subarray(10), pattern(100, v));
    }
    await serving.server.close({ graceMs: 0 });
    await pool.close();
    await assertSound("native", paths);
  },
);
