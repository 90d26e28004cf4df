/**
 * What `virstor serve` writes to standard error.
 *
 * @module
 */
import { assertEquals, assertMatch } from "@std/assert";
import { BusyClient } from "../helpers/busy_client.ts";
import {
  EVENT_LEVELS,
  type EventName,
} from "../../cli/terminal/event_levels.ts";
import { NBD } from "../helpers/nbd_client.ts";
import {
  BLOCK,
  CHUNK,
  fill,
  makeSmallPool,
  serve,
  statusOf,
} from "./served.ts";

Deno.test("virstor serve --log-format json writes an object a line", async () => {
  await using work = await makeSmallPool();
  const server = await work.serve([
    "serve",
    ...["--log-format", "json", "--chunk-watermark", "3"],
    ...["--listen", "0.0.0.0:0"],
    "demo",
  ]);
  {
    using client = await BusyClient.open(server);
    await fill(client, 4);
  }
  await server.said(/"disconnected"/);
  const { stderr } = await server.stop();
  const lines = stderr.trimEnd().split("\n").map((line) => JSON.parse(line))
    // On a busy machine an open takes so long that it is logged.
    .filter(({ event }) => event !== "progress");
  assertEquals(
    lines.map(({ event }) => event),
    [
      ...["notice", "accepted", "connected", "watermark"],
      ...["disconnected", "stopping"],
    ],
  );
  const [, accepted, connected, watermark] = lines;
  assertEquals([accepted.peer, accepted.client], [connected.peer, 1]);
  const { time, peer, ...rest } = connected;
  assertMatch(time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
  assertMatch(peer, /^127\.0\.0\.1:\d+$/);
  assertEquals(rest, {
    level: "info",
    event: "connected",
    pool: "demo",
    client: 1,
    message: 'Uses export "demo" on a thread of its own, simple replies',
  });
  assertEquals([watermark.pool, watermark.client], ["demo", undefined]);
});

Deno.test("virstor serve --log-format json tells failures so too", async () => {
  await using work = await makeSmallPool();
  const { code, stderr } = await work.run(
    ["serve", "--log-format", "json", "absent"],
  );
  assertEquals(code, 3);
  const { level, event, message } = JSON.parse(stderr);
  assertEquals([level, event], ["error", "failed"]);
  assertMatch(message, /^Cannot find pool "absent": /);
});

Deno.test("virstor serve --log-level error tells no events", async () => {
  await using work = await makeSmallPool();
  const server = await serve(work, "--log-level", "error");
  {
    using client = await BusyClient.open(server);
    assertEquals((await client.flush()).errno, 0);
  }
  assertEquals((await server.stop()).stderr, "");
});

Deno.test("virstor serve --log-level tells what matters so much, and no less", async () => {
  const shown = {
    error: { delayed: true, watermark: false, connected: false },
    warning: { delayed: true, watermark: true, connected: false },
    info: { delayed: true, watermark: true, connected: true },
  };
  for (const [level, wanted] of Object.entries(shown)) {
    await using work = await makeSmallPool();
    const server = await serve(
      work,
      ...["--log-level", level, "--log-format", "json"],
      ...["--chunk-watermark", "3"],
    );
    using client = await BusyClient.open(server);
    await fill(client);
    const delayed = client.write(40 * CHUNK, new Uint8Array(BLOCK));
    await server.said(/"delayed"/);
    const { stderr } = await server.stop();
    assertEquals((await delayed).errno, NBD.ESHUTDOWN);
    const lines = stderr.trimEnd().split("\n").map((line) => JSON.parse(line));
    const told = Object.keys(wanted).map((event) => [
      event,
      lines.some((line) => line.event === event),
    ]);
    assertEquals(Object.fromEntries(told), wanted, level);
    for (const line of lines) {
      const event: EventName = line.event;
      assertEquals(line.level, EVENT_LEVELS[event], event);
    }
  }
});

Deno.test("virstor serve --log-level debug tells what it is asked", async () => {
  await using work = await makeSmallPool();
  const quiet = await serve(work);
  await statusOf(work);
  assertEquals((await quiet.stop()).stderr.includes("control"), false);
  const server = await serve(work, "--log-level", "debug");
  await statusOf(work);
  await server.said(/Z control: Asked for "status"\n/);
});
