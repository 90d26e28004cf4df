/**
 * The events of a pool: data for programs, for one callback and for any number
 * of subscribers, none of which can disturb the pool or each other.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { EventHub, EVENTS_WAITING_MAX } from "../../../pool/core/mod.ts";
import {
  type MissedEvents,
  openPool,
  type PoolEvent,
} from "../../../pool/mod.ts";
import {
  componentSize,
  openSmallPool,
  SMALL_CHUNK,
} from "../../helpers/scratch.ts";
import { chunkBytes, makeQuickScratch } from "../../helpers/small_pools.ts";

/** An event that carries a number. */
function resized(virtualSize: number): PoolEvent<"resized"> {
  const message = `${virtualSize}`;
  return { kind: "resized", message, volume: "small", virtualSize };
}

/** Reads all events until they end; numbers, and how many were missed. */
async function readAll(
  events: AsyncIterable<PoolEvent | MissedEvents>,
): Promise<(number | string)[]> {
  const all: (number | string)[] = [];
  for await (const event of events) {
    if (event.kind === "missed") all.push(`missed ${event.count}`);
    if (event.kind === "resized") all.push(event.virtualSize);
  }
  return all;
}

Deno.test("EventHub hands every event to the callback and to each subscriber", async () => {
  const called: PoolEvent[] = [];
  const hub = new EventHub((event) => called.push(event));
  hub.emit(resized(0));
  const early = readAll(hub.subscribe());
  hub.emit(resized(1));
  const late = readAll(hub.subscribe());
  hub.emit(resized(2));
  await Promise.resolve();
  hub.emit(resized(3));
  hub.close();
  assertEquals(await early, [1, 2, 3]);
  assertEquals(await late, [2, 3]);
  assertEquals(called, [0, 1, 2, 3].map(resized));
  assertEquals(await readAll(hub.subscribe()), [], "a closed hub has none");
  assertEquals(hub.subscribers, 0);
});

Deno.test("EventHub drops the oldest events of a slow subscriber, and tells how many", async () => {
  const hub = new EventHub();
  const slow = hub.subscribe();
  for (let i = 0; i < EVENTS_WAITING_MAX + 3; i++) hub.emit(resized(i));
  assertEquals(await slow.next(), {
    done: false,
    value: {
      kind: "missed",
      message: "3 events of the pool were dropped: the reader was too slow",
      count: 3,
    },
  });
  assertEquals((await slow.next()).value, resized(3));
  hub.emit(resized(-1));
  hub.emit(resized(-2));
  hub.close();
  const rest = await readAll(slow);
  assertEquals(rest.slice(0, 2), ["missed 1", 5]);
  assertEquals(rest.slice(-2), [-1, -2]);
  assertEquals(rest.length, 1 + EVENTS_WAITING_MAX);
});

Deno.test("EventHub forgets a subscriber that has left its loop", async () => {
  const hub = new EventHub();
  const events = hub.subscribe();
  hub.emit(resized(1));
  hub.emit(resized(2));
  for await (const event of events) {
    assertEquals(event, resized(1));
    break;
  }
  assertEquals(hub.subscribers, 0);
  hub.emit(resized(3));
  assertEquals(await readAll(events), []);
});

Deno.test("EventHub ends reads that wait, by return() and by its own end", async () => {
  const hub = new EventHub();
  const [one, other] = [hub.subscribe(), hub.subscribe()];
  const waiting = [one.next(), one.next(), other.next()];
  await one.return?.();
  hub.close();
  const ended = { done: true, value: undefined } as const;
  assertEquals(await Promise.all(waiting), [ended, ended, ended]);
  assertEquals(await other.next(), ended);
});

Deno.test("EventHub keeps the error of a callback away from the pool and from subscribers", async () => {
  const uncaught = Promise.withResolvers<unknown>();
  const onError = (event: ErrorEvent) => {
    event.preventDefault();
    uncaught.resolve(event.error);
  };
  globalThis.addEventListener("error", onError, { once: true });
  const fault = new Error("A callback that throws");
  const hub = new EventHub(() => {
    throw fault;
  });
  const events = hub.subscribe();
  hub.emit(resized(1));
  assertEquals((await events.next()).value, resized(1));
  assertEquals(await uncaught.promise, fault);
});

Deno.test("Pool.events() tells what happens to a pool, as data, until it is closed", async () => {
  await using scratch = await makeQuickScratch();
  const { pool, paths, events: called } = await openSmallPool(scratch, 2, {
    format: "native",
    createSize: componentSize("native", 10),
    chunkWatermark: 0,
    componentWatermark: 0,
    fullTimeoutSeconds: 60,
  });
  const [a = "", b = ""] = paths;
  const subscribed: (PoolEvent | MissedEvents)[] = [];
  const reading = (async () => {
    for await (const event of pool.events()) subscribed.push(event);
  })();
  const disk = pool.volume();
  for (let v = 0; v < 20; v++) await disk.write(chunkBytes(v), v * SMALL_CHUNK);
  const waiting = disk.write(chunkBytes(20), 20 * SMALL_CHUNK);
  const c = scratch.file("c");
  await pool.add([c], { createSize: componentSize("native", 20) });
  await waiting;
  await pool.remove([a], { bytesPerSecond: 1 });
  await pool.cancelRemove([a]);
  await pool.resize(2048 * SMALL_CHUNK);
  await disk.discard(0, 20 * SMALL_CHUNK);
  assertEquals((await pool.remove([b])).removed, [b]);
  await pool.close();
  await reading;
  assertEquals(subscribed, called);
  assertEquals(JSON.parse(JSON.stringify(called)), called);
  // Where chunks have to be zeroed first, the write resumes after the add.
  assertEquals(
    called.map(({ message: _, ...rest }) => rest)
      .toSorted((one, two) => one.kind < two.kind ? -1 : 1),
    [
      { kind: "added", paths: [c] },
      { kind: "delayed", fullTimeoutSeconds: 60 },
      { kind: "evacuation", paths: [a] },
      { kind: "removed", paths: [b] },
      { kind: "resized", volume: "small", virtualSize: 2048 * SMALL_CHUNK },
      { kind: "resumed", freeChunks: 19 },
    ],
  );
});

Deno.test("Pool.events() tells which watermark was passed, and by how much", async () => {
  await using scratch = await makeQuickScratch();
  const { pool } = await openSmallPool(scratch, 1, {
    format: "native",
    createSize: componentSize("native", 10),
    chunkWatermark: 9,
  });
  const events = pool.events();
  await pool.volume().write(chunkBytes(1), 0);
  await pool.volume().write(chunkBytes(1), SMALL_CHUNK);
  await pool.close();
  const all = await Array.fromAsync(events);
  assertEquals(all.map(({ message: _, ...rest }) => rest), [
    {
      ...{ kind: "watermark", mark: "chunks", paths: [] },
      ...{ count: 8, minimum: 9, total: 10 },
    },
  ]);
});

Deno.test("openPool() hands the events of the open to its callback, with the steps of a recovery", async () => {
  await using scratch = await makeQuickScratch();
  const { pool, paths } = await openSmallPool(scratch, 2, {
    format: "native",
    createSize: componentSize("native", 10),
  });
  await pool.close();
  const old = await Deno.readFile(paths[0] ?? "");
  await using other = await makeQuickScratch();
  const kept = other.file("kept");
  await using again = await openPool(paths);
  await again.add([other.file("c")], {
    createSize: componentSize("native", 10),
  });
  await again.remove([paths[0] ?? ""]);
  await again.close();
  await Deno.writeFile(kept, old);
  const events: PoolEvent[] = [];
  const rest = [paths[1] ?? "", other.file("c")];
  const last = await openPool([...rest, kept], {
    onEvent: (event) => events.push(event),
  });
  await last.close();
  const [event] = events;
  assert(event?.kind === "recovered", JSON.stringify(events));
  assertEquals(
    [event.step, event.paths, event.chunks],
    ["left-out", [kept], 0],
  );
});
