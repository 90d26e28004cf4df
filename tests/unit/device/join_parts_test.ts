/**
 * Goal: however its parts end, a request that is joined of them ends once, when
 * the last part has ended, with the error that came first; no rejection is left
 * unhandled. Method: every way in which three parts can end, in every order.
 *
 * @module
 */

import {
  assert,
  assertEquals,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import type { Completion } from "../../../device/mod.ts";
import { joinParts } from "../../../device/block/mod.ts";

/** How a part ends. */
const ENDS = ["done", "throws", "later", "rejects"] as const;
type End = typeof ENDS[number];

/** Every way in which some parts can end. */
function allWays(count: number): End[][] {
  if (count === 0) return [[]];
  return allWays(count - 1).flatMap((way) => ENDS.map((end) => [...way, end]));
}

/** Every order of some numbers. */
function ordersOf(numbers: number[]): number[][] {
  if (numbers.length === 0) return [[]];
  return numbers.flatMap((first) =>
    ordersOf(numbers.filter((one) => one !== first))
      .map((rest) => [first, ...rest])
  );
}

/** Lets all handlers run. */
function settle(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}

/** What a request should end with. */
function expected(way: End[], order: number[]): number | undefined {
  const thrown = way.indexOf("throws");
  if (thrown >= 0) return thrown;
  return order.find((part) => way[part] === "rejects");
}

async function tryWay(way: End[], order: number[]): Promise<void> {
  const waiting = new Map<number, PromiseWithResolvers<void>>();
  const started: number[] = [];
  const start = (part: number): Completion => {
    started.push(part);
    if (way[part] === "done") return undefined;
    if (way[part] === "throws") throw part;
    const pending = Promise.withResolvers<void>();
    waiting.set(part, pending);
    return pending.promise;
  };
  const first = way.findIndex((end) => end !== "done");
  if (first < 0) {
    assertStrictEquals(joinParts(way.keys(), start), undefined);
    return;
  }
  let ended: { error?: unknown } | undefined;
  if (way[first] === "throws") {
    assertEquals(catchOf(() => joinParts(way.keys(), start)), first);
    assertEquals(started.length, first + 1);
    return;
  }
  const joined = joinParts(way.keys(), start);
  assert(joined instanceof Promise);
  joined.then(() => ended = {}, (error) => ended = { error });
  const thrown = way.indexOf("throws");
  assertEquals(started.length, thrown < 0 ? way.length : thrown + 1);
  for (const part of order) {
    const pending = waiting.get(part);
    if (pending === undefined) continue;
    assertStrictEquals(ended, undefined, "it ends with the last part only");
    if (way[part] === "later") pending.resolve();
    else pending.reject(part);
    waiting.delete(part);
    await settle();
  }
  const error = expected(way, order);
  assertEquals(ended, error === undefined ? {} : { error });
}

function catchOf(act: () => unknown): unknown {
  try {
    act();
  } catch (error) {
    return error;
  }
  return undefined;
}

Deno.test("joinParts() ends with the last part, with the first error", async () => {
  for (const way of allWays(3)) {
    for (const order of ordersOf([0, 1, 2])) await tryWay(way, order);
  }
});

Deno.test("joinParts() starts nothing of no parts", () => {
  const start = () => {
    throw new Error("There is none");
  };
  assertStrictEquals(joinParts([], start), undefined);
  assertThrows(() => joinParts([1], start), Error, "There is none");
});

Deno.test("joinParts() ends what was started if there are no more parts to be had", async () => {
  const pending = Promise.withResolvers<void>();
  function* parts() {
    yield pending.promise;
    throw new Error("No more");
  }
  const joined = joinParts(parts(), (part) => part);
  let error: unknown;
  joined?.catch((cause) => error = cause);
  await settle();
  assertStrictEquals(error, undefined);
  pending.resolve();
  await settle();
  assertEquals(String(error), "Error: No more");
});

Deno.test("joinParts() can fail with the first part that fails", async () => {
  const pending = Promise.withResolvers<void>();
  const late = joinParts(
    [pending.promise, Promise.reject(1)],
    (part) => part,
    { failsFast: true },
  );
  let error: unknown;
  late?.catch((cause) => error = cause);
  await settle();
  assertEquals(error, 1);
  const atOnce = () =>
    joinParts([pending.promise, undefined], (part) => {
      if (part === undefined) throw new Error("At once");
      return part;
    }, { failsFast: true });
  assertThrows(atOnce, Error, "At once");
  // Neither request hears of it any more, nor does any handler.
  pending.reject(2);
  await settle();
  const done = joinParts([Promise.resolve()], (part) => part, {
    failsFast: true,
  });
  assertStrictEquals(await done, undefined);
});
