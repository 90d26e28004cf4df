/**
 * The parts of the remote disk that need no connection.
 *
 * @module
 */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { AssertionError } from "../../../errors.ts";
import { backOff } from "../../../nbd/client/back_off.ts";
import { Freezes } from "../../../nbd/client/freezes.ts";
import { pieces } from "../../../nbd/client/pieces.ts";
import { RangeLocks } from "../../../nbd/client/range_locks.ts";
import { Command } from "../../../nbd/client/requests/mod.ts";
import { Coverage } from "../../../nbd/client/requests/coverage.ts";
import { TagTable } from "../../../nbd/client/requests/tag_table.ts";
import { RoundTrips } from "../../../nbd/client/round_trips.ts";
import { Unflushed } from "../../../nbd/client/unflushed.ts";
import { pattern } from "../../helpers/scratch.ts";
import { Random } from "../../simulation/random.ts";

Deno.test("backOff() starts at once, doubles, and has an end", () => {
  const options = { firstMs: 100, mostMs: 1000 };
  const waits = (random: number) =>
    [0, 1, 2, 3, 4, 5, 60].map((attempt) => backOff(attempt, options, random));
  assertEquals(waits(1), [0, 100, 200, 400, 800, 1000, 1000]);
  assertEquals(waits(0), [0, 50, 100, 200, 400, 500, 500]);
});

Deno.test("Freezes counts by reason", () => {
  const freezes = new Freezes();
  freezes.freeze("connecting");
  freezes.freeze("suspended");
  freezes.freeze("suspended");
  assertEquals(freezes.reasons(0), { connecting: 1, suspended: 2 });
  assertEquals(freezes.reasons(3).shortage, 3);
  freezes.thaw("connecting");
  freezes.thaw("suspended");
  assert(freezes.isFrozen);
  freezes.thaw("suspended");
  assert(!freezes.isFrozen);
  assertThrows(() => freezes.thaw("suspended"), AssertionError);
});

Deno.test("pieces() cuts at whole blocks", () => {
  const cut = (length: number, most: number) =>
    pieces({ offset: 1024, length }, most, 512).map(({ length }) => length);
  assertEquals(cut(0, 2048), []);
  assertEquals(cut(512, 2048), [512]);
  assertEquals(cut(4608, 2048), [2048, 2048, 512]);
  assertEquals(cut(2048, 1535), [1024, 1024]);
});

Deno.test("RangeLocks grants overlapping ranges in order, others at once", async () => {
  const locks = new RangeLocks();
  const order: string[] = [];
  const take = (name: string, start: number, end: number) => {
    const lock = locks.take(start, end);
    const held = (locks.wait(lock) ?? Promise.resolve()).then(() => {
      order.push(name);
    });
    return { lock, held };
  };
  const a = take("a", 0, 10);
  const b = take("b", 5, 15);
  const c = take("c", 10, 20);
  const d = take("d", 20, 30);
  await Promise.all([a.held, d.held]);
  assertEquals(order, ["a", "d"]);
  locks.release(a.lock);
  await b.held;
  // `c` waits for `b`, although it does not overlap `a`.
  assertEquals(order, ["a", "d", "b"]);
  locks.release(b.lock);
  await c.held;
});

Deno.test("Coverage takes ranges in any order, and none twice", () => {
  const random = new Random(1);
  for (let round = 0; round < 200; round++) {
    const coverage = new Coverage();
    const model = new Uint8Array(64);
    while (model.includes(0)) {
      const start = random.below(64);
      const end = Math.min(64, start + 1 + random.below(16));
      const isFree = model.subarray(start, end).every((byte) => byte === 0);
      assertEquals(coverage.add(start, end), isFree);
      if (isFree) model.fill(1, start, end);
      assertEquals(coverage.covers(0, 64), !model.includes(0));
    }
  }
});

Deno.test("TagTable never uses a cookie again", () => {
  const tags = new TagTable();
  const command = new Command({ command: 0 });
  const seen = new Set<string>();
  for (let i = 0; i < 10_000; i++) {
    const slot = tags.add(command, 0);
    const { cookieHigh, cookieLow } = slot;
    assertEquals(tags.find(cookieHigh, cookieLow), slot);
    tags.remove(slot);
    assertEquals(tags.find(cookieHigh, cookieLow), undefined);
    seen.add(`${cookieHigh} ${cookieLow}`);
  }
  assertEquals(seen.size, 10_000);
});

Deno.test("TagTable knows when the oldest request left first, but for bound ones", () => {
  const tags = new TagTable();
  const [bound, early, late] = [true, false, false].map((isBound) =>
    new Command({ command: 0 }, isBound)
  );
  assertEquals(tags.oldest(), Infinity);
  if (bound !== undefined) tags.add(bound, 1);
  assertEquals(tags.oldest(), Infinity);
  if (late !== undefined) tags.add(late, 7);
  assertEquals(tags.oldest(), 7);
  // One that comes from another connection left there.
  if (early !== undefined) {
    early.since = 3;
    tags.add(early, 9);
  }
  assertEquals(tags.oldest(), 3);
});

Deno.test("Unflushed repeats the last content of every byte, and only that", () => {
  const random = new Random(2);
  for (let round = 0; round < 200; round++) {
    const unflushed = new Unflushed(1e9, () => {});
    const model = new Uint8Array(256);
    const isCovered = new Uint8Array(256);
    for (let i = 0; i < 20; i++) {
      const offset = random.below(250);
      const length = 1 + random.below(256 - offset);
      const payload = pattern(length, round * 100 + i);
      const command = new Command({ command: 1, offset, payload });
      unflushed.takeRoom(Unflushed.costOf(length));
      unflushed.add(command, Unflushed.costOf(length));
      model.set(payload, offset);
      isCovered.fill(1, offset, offset + length);
    }
    const repeated = new Uint8Array(256);
    const times = new Uint8Array(256);
    for (const { offset, payload = new Uint8Array() } of unflushed.replay()) {
      repeated.set(payload, offset);
      for (let i = 0; i < payload.length; i++) {
        times[offset + i] = (times[offset + i] ?? 0) + 1;
      }
    }
    assertEquals(repeated, model);
    assertEquals(times, isCovered);
  }
});

Deno.test("Unflushed drops what was there before a mark", () => {
  const unflushed = new Unflushed(10_000, () => {});
  const add = (offset: number) => {
    const command = new Command({
      command: 1,
      offset,
      payload: new Uint8Array(8),
    });
    unflushed.takeRoom(100);
    unflushed.add(command, 100);
  };
  add(0);
  add(8);
  const mark = unflushed.mark;
  add(16);
  unflushed.dropBefore(mark);
  unflushed.dropBefore(mark);
  assertEquals(unflushed.used, 100);
  assertEquals(unflushed.replay().map(({ offset }) => offset), [16]);
});

Deno.test("RoundTrips tells quantiles of the last ones", () => {
  const trips = new RoundTrips();
  assertEquals(trips.quantile(0.5), 0);
  for (let i = 1; i <= 1000; i++) trips.add(i);
  assertEquals(trips.quantile(0), 489);
  assertEquals(trips.quantile(0.5), 745);
  assertEquals(trips.quantile(1), 1000);
});
