/**
 * `virstor remove`: components that hold data are evacuated, and
 * commands that wait for it report how it went.
 *
 * @module
 */
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { BusyClient } from "../helpers/busy_client.ts";
import { MIB, pattern } from "../helpers/scratch.ts";
import { type Server, withoutProgress, Workspace } from "../helpers/virstor.ts";
import {
  assertFilled,
  assertSound,
  CHUNK,
  fill,
  makeSmallPool,
  serve,
  start,
  statusOf,
  untilStatus,
} from "./served.ts";

/** So slow that it has moved nothing when the test is over, a second. */
const CRAWL = ["--rate", "1"];

/** A served pool of the components a and b, with four chunks on a. */
async function serveFilled(
  work: Workspace,
): Promise<{ server: Server; client: BusyClient }> {
  const server = await serve(work);
  const client = await BusyClient.open(server);
  await fill(client, 4);
  assertEquals(
    (await statusOf(work)).pool.components.map(({ used }) => used),
    [4, 0],
  );
  return { server, client };
}

async function pathsOf(work: Workspace): Promise<string[]> {
  const { pool } = await statusOf(work);
  return pool.components.map(({ path }) => path);
}

/** Waits until a component is on its way out. */
function untilEvacuating(work: Workspace): Promise<unknown> {
  return untilStatus(work, ({ pool }) => pool.evacuation !== null);
}

Deno.test("virstor remove evacuates a component of a served pool", async () => {
  await using work = await makeSmallPool("native", ["a", "b"]);
  const { server, client } = await serveFilled(work);
  assertEquals(
    await work.succeed(["remove", "-v", "demo", "a"]),
    `Removed 1 component from pool "demo"\n${work.path("a")}\n`,
  );
  assertEquals((await work.run(["dump", "a"])).code, 3);
  await assertFilled(client, 4);
  await assertSound(work);
  client[Symbol.dispose]();
  assertMatch(server.stderr, / removed: Removed .*\/a\n/);
  await server.stop();
  // The registry has forgotten it.
  const [listed] = JSON.parse(await work.succeed(["list", "--json"]));
  assertEquals(listed.components, [work.path("b")]);
  await assertSound(work);
});

Deno.test("virstor remove evacuates a component of a stopped pool", async () => {
  await using work = await makeSmallPool("native", ["a", "b"]);
  const { server, client } = await serveFilled(work);
  client[Symbol.dispose]();
  await server.stop();
  assertEquals(
    JSON.parse(
      await work.succeed(["remove", "--json", "--rate", "0", "demo", "a"]),
    ),
    {
      name: "demo",
      removed: [work.path("a")],
      evacuating: [],
      kept: [],
      lost: [],
    },
  );
  assertEquals(await pathsOf(work), [work.path("b")]);
  const registered = await Deno.readTextFile(
    work.path("state/pools/demo.json"),
  );
  assertEquals(JSON.parse(registered).components, [work.path("b")]);
  using reader = await BusyClient.open(await serve(work));
  await assertFilled(reader, 4);
});

Deno.test("virstor remove --dry-run shows what would move", async () => {
  await using work = await makeSmallPool("native", ["a", "b"]);
  const { server, client } = await serveFilled(work);
  for (const isServed of [true, false]) {
    assertEquals(
      await work.succeed(["remove", "--dry-run", "demo", "a"]),
      `Would remove ${work.path("a")}, moving 512 KiB\n` +
        "512 KiB would move, 768 KiB free on the others: it fits\n",
    );
    assertEquals(
      JSON.parse(
        await work.succeed(["remove", "--dry-run", "--json", "demo", "a"]),
      ),
      {
        name: "demo",
        components: [{ path: work.path("a"), usedBytes: 4 * CHUNK }],
        usedBytes: 4 * CHUNK,
        freeBytes: 6 * CHUNK,
        reservedBytes: 0,
        fits: true,
      },
    );
    if (!isServed) continue;
    client[Symbol.dispose]();
    await server.stop();
  }
  assertEquals((await pathsOf(work)).length, 2);
});

Deno.test("virstor remove refuses what has no room on the others", async () => {
  await using work = await makeSmallPool("native", ["a", "b"]);
  const server = await serve(work);
  using client = await BusyClient.open(server);
  await fill(client, 8);
  const plan = await work.run(["remove", "--dry-run", "demo", "a"]);
  assertEquals(plan, {
    code: 5,
    stdout: `Would remove ${work.path("a")}, moving 768 KiB\n` +
      "768 KiB would move, 512 KiB free on the others: it does not fit\n",
    stderr: "",
  });
  const { code, stderr } = await work.run(["remove", "demo", "a"]);
  assertEquals(code, 5, stderr);
  assertMatch(stderr, /^virstor: Cannot remove .* 262144 bytes short\n$/);
  assertEquals((await statusOf(work)).pool.evacuation, null);
});

Deno.test("virstor remove --detach leaves it to the server", async () => {
  await using work = await makeSmallPool("native", ["a", "b"]);
  const { server, client } = await serveFilled(work);
  assertEquals(
    await work.succeed(["remove", "--detach", ...CRAWL, "demo", "a"]),
    'Evacuating 1 component of pool "demo", which is removed afterwards\n',
  );
  const text = await work.succeed(["status", "demo"]);
  assertMatch(
    text,
    /\nEvacuation: +moving: 128 KiB moved, 384 KiB left, 1 B\/s, /,
  );
  assertMatch(text, /\n 0 .* evacuating +\/.*\/a\n/);
  assertMatch(text, /\n 1 .* in use +\/.*\/b\n/);
  // Once more, at another rate, and now it is waited for.
  await work.succeed(["remove", "--rate", "0", "demo", "a"]);
  assertEquals(await pathsOf(work), [work.path("b")]);
  client[Symbol.dispose]();
  await server.stop();
});

Deno.test("virstor remove --cancel keeps a component", async () => {
  await using work = await makeSmallPool("native", ["a", "b"]);
  const { server, client } = await serveFilled(work);
  using _ = client;
  const waiting = work.run(["remove", ...CRAWL, "demo", "a"]);
  await untilEvacuating(work);
  assertEquals(
    await work.succeed(["remove", "--cancel", "-v", "demo", "a"]),
    `Kept 1 component in pool "demo"\n${work.path("a")}\n`,
  );
  assertEquals(await waiting, {
    code: 1,
    stdout: "",
    stderr: `virstor: Cannot remove "${work.path("a")}" from pool "demo": ` +
      "its evacuation was cancelled, it stays\n",
  });
  assertEquals((await statusOf(work)).pool.evacuation, null);
  assertMatch(server.stderr, / evacuation: Kept .*\/a\n/);
  await assertFilled(client, 4);
  await assertSound(work);
});

Deno.test("virstor remove leaves an evacuation when it is interrupted", async () => {
  await using work = await makeSmallPool("native", ["a", "b"]);
  const { client } = await serveFilled(work);
  using _ = client;
  const waiting = start(work, ["remove", ...CRAWL, "demo", "a"]);
  await untilEvacuating(work);
  // By then it looks for signals.
  await waiting.said(/Evacuating .*, 512 KiB left/);
  const { code, stderr } = await waiting.stop();
  assertEquals(code, 1);
  assertEquals(
    stderr.split("\n").at(-2),
    'virstor: Got SIGINT during the evacuation of pool "demo": it continues; ' +
      '"virstor status" shows its progress, "virstor remove --cancel" ends it',
  );
  const { pool } = await statusOf(work);
  assertEquals(pool.evacuation?.state, "moving");
});

Deno.test("virstor remove tells when the pool was stopped meanwhile", async () => {
  await using work = await makeSmallPool("native", ["a", "b"]);
  const { server, client } = await serveFilled(work);
  client[Symbol.dispose]();
  const waiting = start(work, ["remove", ...CRAWL, "demo", "a"]);
  // By then it has its answer, and asks how far it is.
  await waiting.said(/Evacuating /);
  await server.kill();
  const ended = await waiting.ended();
  assertEquals({ ...ended, stderr: withoutProgress(ended.stderr) }, {
    code: 1,
    stdout: "",
    stderr: `virstor: Cannot wait until "${work.path("a")}" is removed: pool ` +
      '"demo" was stopped; its evacuation continues when it is served again\n',
  });
  const text = await work.succeed(["status", "demo"]);
  assertMatch(
    text,
    /\nEvacuation: +512 KiB left; it continues when the pool is opened for /,
  );
  // Served again, it goes on by itself, at its rate, and the registry follows.
  const again = await serve(work);
  await again.said(/ evacuation: Continuing /);
  await work.succeed(["remove", "--rate", "0", "--detach", "demo", "a"]);
  await again.said(/ removed: /);
  await untilStatus(work, ({ pool }) => pool.components.length === 1);
  using reader = await BusyClient.open(again);
  await assertFilled(reader, 4);
});

Deno.test("virstor remove --rate is kept over a crash of the server", async () => {
  await using work = await makeSmallPool("native", ["a", "b"]);
  const { server, client } = await serveFilled(work);
  client[Symbol.dispose]();
  await work.succeed(["remove", "--detach", ...CRAWL, "demo", "a"]);
  await server.kill();
  const goesOn = new RegExp(
    ` evacuation: Continuing the evacuation of ${work.path("a")}, ` +
      "at most 1 B a second, as before\\n",
  );
  // More than once. (A stop in order would move all that was begun with.)
  for (let round = 0; round < 2; round++) {
    const again = await serve(work);
    await again.said(goesOn);
    const { pool } = await statusOf(work);
    const { movedBytes = 0, leftBytes = 0 } = pool.evacuation ?? {};
    assertEquals(movedBytes + leftBytes, 4 * CHUNK);
    await again.kill();
  }
  const again = await serve(work);
  await work.succeed(["remove", "--cancel", "demo", "a"]);
  await again.stop();
  const { stderr } = await (await serve(work)).stop();
  assertEquals(stderr.includes("Continuing"), false, stderr);
  assertEquals(
    Array.from(Deno.readDirSync(work.path("state/pools")), ({ name }) => name),
    ["demo.json"],
  );
});

Deno.test("virstor remove of a stopped pool leaves its rate to the server, if it has one", async () => {
  for (const isSaid of [true, false]) {
    await using work = await makeSmallPool("native", ["a", "b"]);
    const { server, client } = await serveFilled(work);
    client[Symbol.dispose]();
    await work.succeed(["remove", "--detach", ...CRAWL, "demo", "a"]);
    await server.kill();
    // This one takes it over, and is killed; without a rate it would be done.
    await Deno.remove(work.path("state/pools/demo.rate"));
    if (isSaid) {
      const waiting = start(work, ["remove", ...CRAWL, "demo", "a"]);
      await waiting.said(/Evacuating .*, 512 KiB left/);
      await waiting.kill();
    }
    const again = await serve(work);
    await again.said(
      isSaid
        ? / evacuation: Continuing .*, at most 1 B a second, as before\n/
        : / evacuation: Continuing .*, at most 64 MiB a second\n/,
    );
  }
});

Deno.test("virstor remove of a stopped pool goes on after a signal", async () => {
  await using work = await makeSmallPool("native", ["a", "b"]);
  const { server, client } = await serveFilled(work);
  client[Symbol.dispose]();
  await server.stop();
  const waiting = start(work, ["remove", ...CRAWL, "demo", "a"]);
  await waiting.said(/Evacuating .*, 512 KiB left/);
  waiting.signal("SIGTERM");
  const { code, stderr } = await waiting.ended();
  assertEquals(code, 1);
  assertStringIncludes(
    stderr,
    'virstor: Got SIGTERM during the evacuation of pool "demo": the next ' +
      "open for writing continues it\n",
  );
  await assertSound(work);
  await work.succeed(["remove", "demo", "a"]);
  assertEquals(await pathsOf(work), [work.path("b")]);
  await assertSound(work);
});

Deno.test("virstor remove says once that it waits for space", async () => {
  await using work = await Workspace.create();
  // Chunks so large that they are moved one by one, and all but empty.
  const chunk = 64 * MIB;
  await work.makeFile("a", 5 * chunk + 4 * MIB);
  await work.makeFile("b", 3 * chunk + 4 * MIB);
  await work.succeed(["label", "-s", "4G", "-m", "64M", "demo", "a", "b"]);
  const server = await serve(work);
  using client = await BusyClient.open(server);
  const put = (index: number) =>
    client.write(index * chunk, pattern(4096, index));
  for (const index of [0, 1, 2]) assertEquals((await put(index)).errno, 0);
  const waiting = start(work, ["remove", ...CRAWL, "demo", "a"]);
  await untilEvacuating(work);
  // What it counted on is taken by others meanwhile: one chunk has its place
  // already, and nothing is moved before it may go on.
  for (const index of [3, 4]) assertEquals((await put(index)).errno, 0);
  await work.succeed(["remove", "--rate", "0", "--detach", "demo", "a"]);
  await waiting.said(/waits for free chunks/);
  assertMatch(
    await work.succeed(["status", "demo"]),
    /\nEvacuation: +waiting for free chunks: 4 KiB moved|64 MiB moved/,
  );
  await work.succeed(["add", "--create", "200M", "demo", "c"]);
  const { code, stderr } = await waiting.ended();
  assertEquals(code, 0, stderr);
  assertEquals(stderr.match(/waits for free chunks/g)?.length, 1);
  for (const index of [0, 1, 2, 3, 4]) {
    const { payload } = await client.read(index * chunk, 4096);
    assertEquals(payload, pattern(4096, index));
  }
});

Deno.test("virstor remove takes empty components of a FreeBSD pool", async () => {
  await using work = await makeSmallPool("freebsd");
  await work.succeed(["add", "--create", "1M", "demo", "b", "c"]);
  using client = await BusyClient.open(await serve(work));
  await fill(client, 6);
  assertEquals(
    await work.succeed(["remove", "-v", "demo", "c"]),
    `Removed 1 component from pool "demo"\n${work.path("c")}\n`,
  );
  const { code, stderr } = await work.run(["remove", "demo", "b"]);
  assertEquals({ code, stderr }, {
    code: 9,
    stderr: `virstor: Cannot remove "${work.path("b")}" from pool "demo": ` +
      "1 chunk on it is in use, and format 1 cannot move them\n",
  });
  assertEquals((await pathsOf(work)).length, 2);
});
