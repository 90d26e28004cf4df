/**
 * The events of a pool for readers of any pace, also over a real control
 * socket.
 *
 * @module
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  type EventRecord,
  type EventsRequest,
  followServer,
} from "../../../cli/control/mod.ts";
import { ControlServer } from "../../../cli/serve/control_server.ts";
import { EventHistory, EVENTS_KEPT } from "../../../cli/serve/event_history.ts";
import { PoolEvents } from "../../../cli/serve/pool_events.ts";
import { controlSocketPath } from "../../../cli/state/mod.ts";
import { VirstorError } from "../../../errors.ts";
import { makeScratch, type Scratch } from "../../helpers/scratch.ts";

/** Adds an event that carries a number, and much text. */
function add(history: EventHistory, figure: number): void {
  history.add({
    time: new Date().toISOString(),
    level: "info",
    kind: "resized",
    pool: "demo",
    components: [],
    message: "x".repeat(2000),
    figure,
  });
}

/** The numbers of events, and how many were missed. */
function figuresOf(events: readonly EventRecord[]): (number | string)[] {
  return events.map(({ kind, figure, count }) =>
    kind === "missed" ? `missed ${count}` : Number(figure)
  );
}

/** Reads to the end. */
async function readAll(
  history: EventHistory,
  request: EventsRequest,
): Promise<(number | string)[]> {
  const reader = history.read(request);
  const all: (number | string)[] = [];
  for (let events; (events = await reader.next()) !== undefined;) {
    all.push(...figuresOf(events));
  }
  return all;
}

/** A control socket that serves nothing but events. */
async function withEvents(
  test: (history: EventHistory, scratch: Scratch) => Promise<void>,
): Promise<void> {
  await using scratch = await makeScratch();
  const history = new EventHistory("demo");
  const bugs: unknown[] = [];
  // deno-lint-ignore no-explicit-any
  const none: any = {};
  const server = new ControlServer(none, (bug) => bugs.push(bug), history);
  await server.listen(controlSocketPath(scratch.path, "demo"));
  try {
    await test(history, scratch);
  } finally {
    history.end();
    server.retire();
    await server.answered();
  }
  assertEquals(bugs, []);
}

Deno.test("EventHistory gives the last events, and those to come", async () => {
  const history = new EventHistory("demo");
  for (let i = 1; i <= 5; i++) add(history, i);
  assertEquals(await readAll(history, { last: 2, follow: false }), [4, 5]);
  assertEquals(await readAll(history, { last: 0, follow: false }), []);
  assertEquals(
    await readAll(history, { last: 9, follow: false }),
    [1, 2, 3, 4, 5],
  );
  const following = readAll(history, { last: 1, follow: true });
  const late = readAll(history, { last: 0, follow: true });
  add(history, 6);
  await Promise.resolve();
  add(history, 7);
  history.end();
  assertEquals(await following, [5, 6, 7]);
  assertEquals(await late, [6, 7]);
});

Deno.test("EventHistory drops what a slow reader has not read, and says how much", async () => {
  const history = new EventHistory("demo");
  const slow = history.read({ last: 0, follow: true });
  for (let i = 1; i <= EVENTS_KEPT + 3; i++) add(history, i);
  const all: EventRecord[] = [];
  all.push(...await slow.next() ?? []);
  // The next batch, with what was dropped meanwhile.
  for (let i = 0; i < EVENTS_KEPT; i++) add(history, 1000 + i);
  history.end();
  for (let some; (some = await slow.next()) !== undefined;) all.push(...some);
  const figures = figuresOf(all);
  assertEquals(figures.slice(0, 2), ["missed 3", 4]);
  const second = figures.indexOf(`missed ${EVENTS_KEPT - 64}`);
  assertEquals(figures.slice(second - 1, second + 2), [
    67,
    `missed ${EVENTS_KEPT - 64}`,
    1000,
  ]);
  assertEquals(figures.at(-1), 999 + EVENTS_KEPT);
  // Nothing is lost without a word.
  const missed = all.reduce((sum, one) => sum + Number(one["count"] ?? 0), 0);
  const read = all.filter(({ kind }) => kind !== "missed").length;
  assertEquals(missed + read, history.count);
});

Deno.test("EventReader.leave() ends a wait", async () => {
  const history = new EventHistory("demo");
  const reader = history.read({ last: 0, follow: true });
  const waiting = reader.next();
  reader.leave();
  assertEquals(await waiting, undefined);
  add(history, 1);
  assertEquals(await reader.next(), undefined);
});

Deno.test("a client that does not read holds up neither the pool nor other clients", async () => {
  await withEvents(async (history, scratch) => {
    const slow = await Deno.connect({
      transport: "unix",
      path: controlSocketPath(scratch.path, "demo"),
    });
    const body = JSON.stringify({ last: 0, follow: true });
    await slow.write(
      new TextEncoder().encode(
        `POST /events HTTP/1.1\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
      ),
    );
    const head = new Uint8Array(1);
    assertEquals(await slow.read(head), 1);
    add(history, 1);
    const quick = await followServer(scratch.path, "demo", {
      last: 1,
      follow: true,
    });
    assert(quick !== undefined);
    const reading = quick[Symbol.asyncIterator]();
    assertEquals((await reading.next()).value?.["figure"], 1);
    // More than the sockets hold.
    for (let i = 2; i <= 4000; i++) {
      add(history, i);
      assertEquals((await reading.next()).value?.["figure"], i);
    }
    history.end();
    assertEquals((await reading.next()).done, true);
    const text = await new Response(slow.readable).text();
    const events: EventRecord[] = text.trim().split("\n")
      .filter((line) => line.startsWith("{") && line !== "{}")
      .map((line) => JSON.parse(line));
    const missed = events.reduce(
      (sum, { count }) => sum + Number(count ?? 0),
      0,
    );
    assert(missed > 0, "The sockets held everything");
    const read = events.filter(({ kind }) => kind !== "missed").length;
    assertEquals(missed + read, 4000);
    assert(text.endsWith("\n{}\n"));
  });
});

Deno.test("a client that leaves gives its place to another", async () => {
  await withEvents(async (history, scratch) => {
    const follow = { last: 1, follow: true };
    add(history, 1);
    const open = async () => {
      const events = await followServer(scratch.path, "demo", follow);
      assert(events !== undefined);
      const reading = events[Symbol.asyncIterator]();
      return { reading, next: reading.next() };
    };
    const all = [];
    for (let i = 0; i < 64; i++) all.push(await open());
    for (const { next } of all) assertEquals((await next).done, false);
    const refused = await open();
    const error = await assertRejects(() => refused.next, VirstorError);
    assertEquals(error.code, "busy");
    await all[0]?.reading.return?.();
    // The server learns of the end of the connection a moment later.
    for (;;) {
      const { reading, next } = await open();
      const result = next.then(() => true, () => false);
      const isTaken = await result;
      await reading.return?.();
      if (isTaken) break;
    }
    for (const { reading } of all) await reading.return?.();
  });
});

Deno.test("PoolEvents names components and figures of every event", () => {
  const seen: EventRecord[] = [];
  const events = new PoolEvents("demo", (event) => seen.push(event));
  events.note({ kind: "added", message: "Added", paths: ["/a", "/b"] });
  events.note({ kind: "host-full", message: "Full", path: "/c" });
  const figures = { mark: "chunks", count: 1, minimum: 2, total: 3 };
  events.note({ kind: "watermark", message: "Low", ...figures });
  const common = { pool: "demo" };
  assertEquals(seen.map(({ time: _, ...rest }) => rest), [
    {
      ...{ number: 1, level: "info", kind: "added", ...common },
      ...{ components: ["/a", "/b"], message: "Added" },
    },
    {
      ...{ number: 2, level: "warning", kind: "host-full", ...common },
      ...{ components: ["/c"], message: "Full" },
    },
    {
      ...{ number: 3, level: "warning", kind: "watermark", ...common },
      ...{ components: [], message: "Low", ...figures },
    },
  ] as unknown as Omit<EventRecord, "time">[]);
});
