/**
 * `virstor set`: what it changes holds at once, also for writes that wait and
 * clients that are connected, and until the server ends.
 *
 * @module
 */
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { BusyClient } from "../helpers/busy_client.ts";
import { pattern } from "../helpers/scratch.ts";
import type { Workspace } from "../helpers/virstor.ts";
import {
  assertSound,
  BLOCK,
  CHUNK,
  COMPONENT_CHUNKS,
  fill,
  makeSmallPool,
  serve,
  statusOf,
  untilStatus,
} from "./served.ts";

/** ENOSPC on the wire. */
const NO_SPACE = 28;
/** What a server without options has. */
const DEFAULTS = {
  onFull: "delay",
  fullTimeoutSeconds: 0,
  maxDelayed: 64 * 1024 ** 2,
  chunkWatermark: 100,
  componentWatermark: 1,
  spaceWatermark: { bytes: 0, percent: 0 },
  hostWatermark: { bytes: 0, percent: 0 },
  autoExtend: 0,
  autoExtendAt: 80,
  autoExtendMax: 0,
  autoExtendIn: "",
  evacuationRate: 64 * 1024 ** 2,
  maxClients: 128,
  idleTimeoutSeconds: 0,
  graceSeconds: 10,
  logLevel: "info",
};

async function settingsOf(work: Workspace): Promise<unknown> {
  const text = await work.succeed(["set", "--json", "demo"]);
  const { name, settings } = JSON.parse(text);
  assertEquals(name, "demo");
  return settings;
}

function set(work: Workspace, ...words: string[]): Promise<string> {
  return work.succeed(["set", "demo", ...words]);
}

/** A write to a full pool, which waits by now. */
async function writeDelayed(
  work: Workspace,
  client: BusyClient,
  chunk = COMPONENT_CHUNKS,
): Promise<Promise<{ errno: number }>[]> {
  const { pool: { delayed: { count } } } = await statusOf(work);
  const reply = client.write(chunk * CHUNK, pattern(BLOCK, chunk));
  await untilStatus(work, ({ pool }) => pool.delayed.count > count);
  return [reply];
}

Deno.test("virstor set shows the settings, and changes them until the server ends", async () => {
  await using work = await makeSmallPool();
  const server = await serve(work);
  assertEquals(await settingsOf(work), DEFAULTS);
  const table = await set(work);
  assertMatch(table, /^on-full +delay +pool$/m);
  assertMatch(table, /^max-delayed +64 MiB +pool$/m);
  assertMatch(table, /^log-level +info +process$/m);
  assertEquals(
    await set(work, "on-full=error", "max-delayed=1M", "grace=2.5"),
    'Set on-full=error, max-delayed=1 MiB, grace=2.5 of pool "demo", until ' +
      "its server ends\n",
  );
  const changed = { onFull: "error", maxDelayed: 1024 ** 2, graceSeconds: 2.5 };
  assertEquals(await settingsOf(work), { ...DEFAULTS, ...changed });
  const { pool } = await statusOf(work);
  assertEquals([pool.onFull, pool.delayed.maxBytes], ["error", 1024 ** 2]);
  await server.said(/ settings: Set on-full=error, max-delayed=1 MiB, grace/);
  await server.stop();
  await serve(work);
  assertEquals(await settingsOf(work), DEFAULTS);
});

Deno.test("virstor set on-full=error fails writes that wait, and later ones", async () => {
  await using work = await makeSmallPool();
  using client = await BusyClient.open(await serve(work));
  await fill(client);
  const [waiting] = await writeDelayed(work, client);
  await set(work, "on-full=error");
  assertEquals((await waiting)?.errno, NO_SPACE);
  const later = await client.write(7 * CHUNK, pattern(BLOCK, 7));
  assertEquals(later.errno, NO_SPACE);
  await set(work, "on-full=delay");
  const [again] = await writeDelayed(work, client);
  await work.succeed(["add", "--create", "1M", "demo", "b"]);
  assertEquals((await again)?.errno, 0);
  await assertSound(work);
});

Deno.test("virstor set full-timeout ends waits that have begun", async () => {
  await using work = await makeSmallPool();
  using client = await BusyClient.open(await serve(work));
  await fill(client);
  const [waiting] = await writeDelayed(work, client);
  await set(work, "full-timeout=0.01");
  assertEquals((await waiting)?.errno, NO_SPACE);
  const { pool } = await statusOf(work);
  assertEquals([pool.delayed.timedOut, pool.delayed.count], [1, 0]);
  // Without a limit a write waits until there is space.
  await set(work, "full-timeout=0");
  const [again] = await writeDelayed(work, client);
  await work.succeed(["add", "--create", "1M", "demo", "b"]);
  assertEquals((await again)?.errno, 0);
});

Deno.test("virstor set max-delayed lets clients go on that were slowed", async () => {
  await using work = await makeSmallPool();
  const server = await serve(work, "--max-delayed", `${BLOCK}`);
  using client = await BusyClient.open(server);
  await fill(client);
  await writeDelayed(work, client);
  // The limit is reached: the server does not read what comes behind.
  const held = [7, 8].map((chunk) =>
    client.write(chunk * CHUNK, pattern(BLOCK, chunk))
  );
  await set(work, "max-delayed=1M");
  await untilStatus(work, ({ pool }) => pool.delayed.count === 3);
  await work.succeed(["add", "--create", "1M", "demo", "b"]);
  for (const reply of held) assertEquals((await reply).errno, 0);
});

Deno.test("virstor set watermarks warns at once, and max-clients spares the connected", async () => {
  await using work = await makeSmallPool();
  const server = await serve(work, "--chunk-watermark", "0");
  using client = await BusyClient.open(server);
  await fill(client, 5);
  assertEquals((await statusOf(work)).pool.warnings, []);
  await set(work, "chunk-watermark=3", "max-clients=1", "log-level=debug");
  assertStringIncludes(
    (await statusOf(work)).pool.warnings.join(),
    "1 of 6 chunks is free, fewer than 3",
  );
  await server.said(/ watermark: 1 of 6 chunks/);
  await server.said(/ control: Asked for "status"/);
  const refused = await BusyClient.open(server).then(
    () => "served",
    () => "refused",
  );
  assertEquals(refused, "refused");
  assertEquals((await client.read(0, BLOCK)).errno, 0);
});

Deno.test("virstor set takes watermarks in percent and bytes, also of disks", async () => {
  await using work = await makeSmallPool();
  const server = await serve(work, "--chunk-watermark", "0");
  using client = await BusyClient.open(server);
  await fill(client, 3);
  assertEquals(
    await set(work, "chunk-watermark=60%"),
    'Set chunk-watermark=60% of pool "demo", until its server ends\n',
  );
  await server.said(/ watermark: 3 of 6 chunks are free, fewer than 4 \(60%/);
  const warnings = async () => (await statusOf(work)).pool.warnings.join();
  assertStringIncludes(await warnings(), "fewer than 4 (60%)");
  // A number of chunks takes the place of the percentage.
  await set(work, "chunk-watermark=0");
  assertEquals(await warnings(), "");
  await set(work, "chunk-watermark=512K", "host-watermark=100%");
  await server.said(/ watermark: .* fewer than 4 \(524288 bytes\)/);
  await server.said(/ watermark: The file system of component .* free, fewer/);
  const settings = JSON.parse(await work.succeed(["set", "--json", "demo"]));
  assertEquals(
    [settings.settings.spaceWatermark, settings.settings.hostWatermark],
    [{ bytes: 512 * 1024, percent: 0 }, { bytes: 0, percent: 100 }],
  );
});

Deno.test("virstor set auto-extend begins to extend a pool, and ends it", async () => {
  await using work = await makeSmallPool();
  using client = await BusyClient.open(await serve(work));
  await fill(client);
  const [waiting] = await writeDelayed(work, client);
  const incomplete = await work.run(["set", "demo", "auto-extend=1M"]);
  assertEquals(incomplete.code, 9);
  assertStringIncludes(incomplete.stderr, "needs auto-extend-max and auto-ext");
  const where = ["auto-extend-in=.", "auto-extend-max=3M"];
  const small = await work.run(["set", "demo", "auto-extend=1", ...where]);
  assertEquals(small.code, 9, small.stderr);
  assertMatch(
    small.stderr,
    /^virstor: Cannot extend pool "demo" by components of 1 byte .* at least \d+ bytes/,
  );
  const absent = ["set", "demo", "auto-extend=1M", where[1] ?? ""];
  assertEquals((await work.run([...absent, "auto-extend-in=absent"])).code, 3);
  assertEquals((await statusOf(work)).pool.components.length, 1);
  await set(work, "auto-extend=1M", "auto-extend-at=90%", ...where);
  assertEquals((await waiting)?.errno, 0);
  const { pool } = await statusOf(work);
  assertEquals(pool.components[1]?.path, work.path("demo-extend-1.img"));
  await set(work, "auto-extend=0");
  const rest = COMPONENT_CHUNKS - 1;
  await Promise.all(
    Array.from(
      { length: rest },
      (_, i) => client.write((20 + i) * CHUNK, pattern(BLOCK, i)),
    ),
  );
  const [again] = await writeDelayed(work, client, 40);
  assertEquals((await statusOf(work)).pool.components.length, 2);
  // What was set before holds on.
  await set(work, "auto-extend=1M");
  assertEquals((await again)?.errno, 0);
  await assertSound(work);
});

Deno.test("virstor set evacuation-rate speeds up an evacuation that runs", async () => {
  await using work = await makeSmallPool("native", ["a", "b"]);
  const server = await serve(work);
  using client = await BusyClient.open(server);
  await fill(client, 4);
  await work.succeed(["remove", "--detach", "--rate", "1", "demo", "a"]);
  await untilStatus(work, ({ pool }) => pool.evacuation !== null);
  await set(work, "evacuation-rate=0");
  await untilStatus(work, ({ pool }) => pool.components.length === 1);
  await assertSound(work);
  // A removal without --rate uses it, too.
  await set(work, "evacuation-rate=1");
  await work.succeed(["add", "--create", "1M", "demo", "c"]);
  await work.succeed(["remove", "--detach", "demo", "b"]);
  const { evacuation } = (await statusOf(work)).pool;
  assertEquals(evacuation?.state, "moving");
  await set(work, "evacuation-rate=0");
  await untilStatus(work, ({ pool }) => pool.evacuation === null);
});

Deno.test("virstor set refuses what cannot be set, and changes nothing", async () => {
  await using work = await makeSmallPool();
  const stopped = await work.run(["set", "demo", "on-full=error"]);
  assertEquals(stopped.code, 3);
  assertStringIncludes(
    stopped.stderr,
    'Cannot set on-full=error of pool "demo": it is not served',
  );
  await serve(work);
  for (
    const [word, text] of [
      ["listen=1", 'Cannot set "listen=1"'],
      ["on-full", 'Cannot set "on-full"'],
      ["on-full=wait", 'Setting on-full has no value "wait"'],
      ["full-timeout=soon", 'Setting full-timeout needs a number, not "soon"'],
      ["max-delayed=much", 'Cannot read max-delayed "much"'],
      ["host-watermark=101%", "host-watermark takes up to 100%, not 101%"],
      ["auto-extend-at=0", "Setting auto-extend-at takes 1 to 100, not 0"],
      ["max-clients=0", "Setting max-clients takes 1 or more, not 0"],
    ]
  ) {
    const { code, stderr } = await work.run([
      "set",
      "demo",
      `${word}`,
      "grace=1",
    ]);
    assertEquals(code, 64, `${word}`);
    assertStringIncludes(stderr, `virstor: ${text}`);
  }
  const late = await work.run(["set", "demo", "grace=1", "full-timeout=1e9"]);
  assertEquals(late.code, 64);
  const long = ["set", "demo", "grace=1", "full-timeout=3000000"];
  const { code, stderr } = await work.run(long);
  assertEquals(code, 9);
  assertStringIncludes(stderr, "it is 0 to 2147483 seconds");
  assertEquals(await settingsOf(work), DEFAULTS);
});
