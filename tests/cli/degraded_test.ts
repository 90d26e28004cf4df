/**
 * Pools of which a component is missing.
 *
 * @module
 */
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { BusyClient } from "../helpers/busy_client.ts";
import { NBD } from "../helpers/nbd_client.ts";
import { dropCache, pattern } from "../helpers/scratch.ts";
import type { Workspace } from "../helpers/virstor.ts";
import {
  assertFilled,
  assertSound,
  BLOCK,
  CHUNK,
  COMPONENT_CHUNKS,
  fill,
  makeSmallPool,
  serve,
  statusOf,
} from "./served.ts";

/** A pool whose component b, with two chunks, is away. */
async function makeTornPool(): Promise<Workspace> {
  const work = await makeSmallPool("native", ["a", "b"]);
  const server = await serve(work);
  {
    using client = await BusyClient.open(server);
    await fill(client, COMPONENT_CHUNKS + 2);
  }
  await server.stop();
  // Beside the other one it would be found.
  await Deno.mkdir(work.path("away"));
  await Deno.rename(work.path("b"), work.path("away/b"));
  return work;
}

Deno.test("virstor status and check say in one line what is missing", async () => {
  await using work = await makeTornPool();
  const message = /Cannot open pool "demo": component 1 \([\da-f-]{36}\) of 2 /;
  const status = await work.run(["status", "demo"]);
  assertEquals(status.code, 3);
  // What is there is reported all the same.
  assertMatch(status.stdout, /\nState: +incomplete, read-only: Cannot open /);
  assertMatch(status.stdout, /\n 0 .* in use +\/.*\/a\n/);
  assertMatch(status.stderr, message);
  assertEquals(status.stderr.split("\n").length, 2);
  const check = await work.run(["check", "demo"]);
  assertEquals([check.code, check.stderr], [2, ""]);
  assertMatch(check.stdout, message);
  assertMatch(check.stdout, /^Damage: .*\nPool "demo" is damaged\n$/);
});

Deno.test("virstor serve --degraded serves what is there", async () => {
  await using work = await makeTornPool();
  const before = await Deno.readFile(work.path("a"));
  const server = await serve(work, "--degraded");
  assertMatch(
    server.stderr,
    /^virstor: Notice: Components are missing: 1 \([\da-f-]{36}\); /m,
  );
  using client = await BusyClient.open(server);
  await assertFilled(client, COMPONENT_CHUNKS);
  // It is unknown what was there, or whether anything was.
  const lost = COMPONENT_CHUNKS * CHUNK;
  assertEquals((await client.read(lost, BLOCK)).errno, NBD.EIO);
  assertEquals((await client.read(100 * CHUNK, BLOCK)).errno, NBD.EIO);
  assertEquals((await client.write(0, pattern(BLOCK, 1))).errno, 1);
  const text = await work.succeed(["status", "demo"]);
  assertMatch(text, /\nState: +served, read-only, degraded\n/);
  assertMatch(text, /\n 0 .* in use +\/.*\/a\n/);
  assertMatch(text, /\n 1 +- +6 .* missing +[\da-f-]{36}\n/);
  assertMatch(text, /\nWarning: Components are missing: /);
  assertEquals((await statusOf(work)).pool.missing.length, 1);
  const remove = await work.run(["remove", "demo", "a"]);
  assertEquals(remove.code, 6, remove.stderr);
  client[Symbol.dispose]();
  await server.stop();
  assertEquals(await Deno.readFile(work.path("a")), before);
  // Where the other one belongs is still known.
  await Deno.rename(work.path("away/b"), work.path("b"));
  await assertSound(work);
  const whole = await serve(work, "--degraded");
  using reader = await BusyClient.open(whole);
  await assertFilled(reader, COMPONENT_CHUNKS + 2);
  assertStringIncludes(await work.succeed(["status", "demo"]), "read-only\n");
});

Deno.test("virstor serve --degraded outlives a read that fails in two ways", async () => {
  await using work = await makeTornPool();
  const server = await serve(work, "--degraded");
  using client = await BusyClient.open(server);
  const last = (COMPONENT_CHUNKS - 1) * CHUNK;
  await dropCache(work.path("a"));
  assertEquals((await client.read(last - CHUNK, BLOCK)).errno, 0);
  // From here on a read of this chunk fails as late as the disk does, and one
  // of the next chunk at once: that may be on the missing component.
  await Deno.truncate(work.path("a"), 0);
  const reads = Array.from(
    { length: 20 },
    (_, i) => client.read(last + CHUNK - BLOCK, (i + 2) * BLOCK),
  );
  for (const read of reads) assertEquals((await read).errno, NBD.EIO);
  using other = await BusyClient.open(server);
  assertEquals((await other.read(100 * CHUNK, BLOCK)).errno, NBD.EIO);
  client[Symbol.dispose]();
  other[Symbol.dispose]();
  const { code, stderr } = await server.stop();
  assertEquals([code, stderr.includes("Internal error")], [0, false], stderr);
});

Deno.test("virstor serve --older-versions needs --degraded", async () => {
  await using work = await makeTornPool();
  const alone = await work.run(["serve", "demo", "--older-versions"]);
  assertEquals(alone.code, 64);
  assertStringIncludes(
    alone.stderr,
    "virstor: Option --older-versions needs --degraded",
  );
  const server = await serve(work, "--degraded", "--older-versions");
  await server.stop();
});
