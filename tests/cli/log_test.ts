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
import { NbdDisk } from "../../nbd/client/mod.ts";
import { pattern } from "../helpers/scratch.ts";
import { NBD } from "../helpers/nbd_client.ts";
import { withoutProgress } from "../helpers/virstor.ts";
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

Deno.test("a log that nothing reads holds up no client, command or stop", async () => {
  await using work = await makeSmallPool();
  const fifo = work.path("log");
  // The pipe is full from the start, and the server itself keeps it open.
  const script = 'mkfifo "$0" && exec 3<>"$0" && ' +
    'head -c 65536 /dev/zero >&3 && exec "$@" 2>&3';
  const server = await work.serve(
    ["serve", "demo", "--socket", work.path("s"), "--log-level", "debug"],
    { under: ["sh", "-c", script, fifo] },
  );
  {
    await using disk = await NbdDisk.connect(server.uri);
    await disk.write(pattern(100, 1), CHUNK);
    await disk.flush();
  }
  await work.succeed(["status", "demo"]);
  const log = new Response((await Deno.open(fifo)).readable).text();
  assertEquals((await server.stop()).code, 0);
  const text = (await log).replaceAll("\0", "");
  assertMatch(text, / connected: 1 .* stopping: .*\n$/s);
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

Deno.test("lines for the journal of systemd have their priorities", async () => {
  await using work = await makeSmallPool();
  const log = await work.makeFile("log", 0);
  const { dev, ino } = await Deno.stat(log);
  // As systemd does: standard error is a stream, and the variable names it.
  const run = async (stream: string, ...args: string[]) => {
    await Deno.truncate(log);
    await work.run(args, {
      env: { JOURNAL_STREAM: stream },
      under: ["sh", "-c", `exec "$@" 2>>"${log}"`, "sh"],
    });
    return withoutProgress(await Deno.readTextFile(log));
  };
  const here = `${dev}:${ino}`;
  const failed = ["add", "demo", "absent"];
  assertMatch(await run(here, ...failed), /^<3>virstor: Cannot open .*\n$/);
  assertMatch(await run(here, "add"), /^<3>virstor: Com.*\n<3>Usage: .*\n$/);
  const notice = ["--create", "1M", "-s", "65M", "-m", "130K", "new", "n"];
  assertMatch(await run(here, "label", ...notice), /^<4>virstor: Notice: /);
  for (const other of ["", `${dev}:1`, "no:number"]) {
    assertMatch(await run(other, ...failed), /^virstor: Cannot open .*\n$/);
  }
});

Deno.test("virstor serve gives the events in the journal their priorities", async () => {
  await using work = await makeSmallPool();
  const log = await work.makeFile("log", 0);
  const { dev, ino } = await Deno.stat(log);
  const format = ["--log-format", "json", "--log-level", "debug"];
  const args = ["serve", ...format, "--listen", "127.0.0.1:0", "demo"];
  const server = await work.serve(args, {
    env: { JOURNAL_STREAM: `${dev}:${ino}` },
    under: ["sh", "-c", `exec "$@" 2>"${log}"`, "sh"],
  });
  {
    using client = await BusyClient.open(server);
    await fill(client);
    await statusOf(work);
  }
  await server.stop();
  const priorities = { error: 3, warning: 4, info: 6, debug: 7 };
  const lines = (await Deno.readTextFile(log)).trimEnd().split("\n");
  const seen = new Set<string>();
  for (const line of lines) {
    const [, priority, json = ""] = /^<(\d)>(.*)$/.exec(line) ?? [];
    const level: keyof typeof priorities = JSON.parse(json).level;
    assertEquals(Number(priority), priorities[level], line);
    seen.add(level);
  }
  assertEquals([...seen].sort(), ["debug", "info", "warning"]);
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
