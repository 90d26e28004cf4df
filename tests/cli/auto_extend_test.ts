/**
 * `serve --auto-extend`: pools that get components by themselves.
 *
 * @module
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { exists } from "@std/fs";
import { AutoExtend } from "../../cli/serve/auto_extend.ts";
import { PoolEvents } from "../../cli/serve/pool_events.ts";
import { openPool } from "../../pool/mod.ts";
import { BusyClient } from "../helpers/busy_client.ts";
import { NO_NATIVE_CALLS } from "../helpers/native.ts";
import { PATIENCE_MS, pause } from "../helpers/patience.ts";
import { testUnless } from "../helpers/peers.ts";
import { pattern } from "../helpers/scratch.ts";
import { mountTiny, whyNoMount } from "../helpers/tiny_fs.ts";
import type { Server, Workspace } from "../helpers/virstor.ts";
import {
  assertFilled,
  assertSound,
  CHUNK,
  fill,
  makeSmallPool,
  serve,
  statusOf,
  untilStatus,
} from "./served.ts";

/** Serves the pool, which grows by a MiB at a time, up to a limit. */
function serveGrowing(
  work: Workspace,
  max: string,
  directory = ".",
): Promise<Server> {
  return serve(
    work,
    ...["--auto-extend", "1M", "--auto-extend-at", "80"],
    ...["--auto-extend-max", max, "--auto-extend-in", directory],
  );
}

function grownPath(work: Workspace, number: number): string {
  return work.path(`demo-extend-${number}.img`);
}

Deno.test("a pool is extended before it is full, also after a restart", async () => {
  await using work = await makeSmallPool();
  // The names of others are left alone.
  await work.makeFile("demo-extend-2.img", 100);
  const first = await serveGrowing(work, "1G");
  {
    using client = await BusyClient.open(first);
    await fill(client, 5);
    await untilStatus(work, ({ pool }) => pool.components.length === 2);
    await fill(client, 10);
    await untilStatus(work, ({ pool }) => pool.components.length === 3);
  }
  await first.stop();
  const { pool } = await statusOf(work);
  assertEquals(pool.components.map(({ path }) => path), [
    ...[work.path("a"), grownPath(work, 1), grownPath(work, 3)],
  ]);
  const second = await serveGrowing(work, "1G");
  using client = await BusyClient.open(second);
  await assertFilled(client, 10);
  await fill(client, 15);
  await untilStatus(work, ({ pool }) => pool.components.length === 4);
  await second.said(/ extended: Extended by /);
  const text = await work.succeed(["events", "--json", "demo"]);
  const extended = text.trimEnd().split("\n").map((line) => JSON.parse(line))
    .filter(({ kind }) => kind === "extended");
  assertEquals(extended.length, 1);
  assertEquals(extended[0].components, [grownPath(work, 4)]);
  assertEquals(extended[0].size, 2 ** 20);
  await work.succeed(["stop", "-f", "demo"]);
  await second.ended();
  await assertSound(work);
  assertEquals((await Deno.stat(work.path("demo-extend-2.img"))).size, 100);
});

Deno.test("writes that outrun the extension wait, and go on by themselves", async () => {
  await using work = await makeSmallPool();
  const server = await serveGrowing(work, "1G");
  {
    using client = await BusyClient.open(server);
    const writes = Array.from(
      { length: 40 },
      (_, v) => client.write(v * CHUNK, pattern(CHUNK, v)),
    );
    for (const write of writes) assertEquals((await write).errno, 0);
    await assertFilled(client, 40);
  }
  await server.stop();
  const { pool } = await statusOf(work);
  assert(pool.components.length >= 7, `${pool.components.length}`);
  await assertSound(work);
});

Deno.test("a pool is not extended past its limit, and the log says so once", async () => {
  await using work = await makeSmallPool();
  const server = await serveGrowing(work, "2M");
  using client = await BusyClient.open(server);
  await fill(client, 12);
  const write = client.write(40 * CHUNK, pattern(CHUNK, 1));
  await server.said(
    /extend-failed: Cannot extend the pool: the components have/,
  );
  await server.said(/ delayed: /);
  const { pool } = await statusOf(work);
  assertEquals(pool.components.length, 2);
  await work.succeed(["add", "--create", "1M", "demo", "more"]);
  assertEquals((await write).errno, 0);
  const { stderr } = await server.stop();
  assertEquals(stderr.match(/extend-failed/g)?.length, 1);
  assertEquals(await exists(grownPath(work, 2)), false);
});

Deno.test("a stop beside an extension leaves a sound pool", async () => {
  for (let round = 0; round < 3; round++) {
    await using work = await makeSmallPool();
    const server = await serveGrowing(work, "1G");
    const client = await BusyClient.open(server);
    const writes = Array.from(
      { length: 20 },
      (_, v) => client.write(v * CHUNK, pattern(CHUNK, v)).catch(() => {}),
    );
    await writes[3 + 2 * round];
    const { code, stderr } = await server.stop();
    assertEquals(code, 0, stderr);
    await Promise.all(writes);
    client[Symbol.dispose]();
    await assertSound(work);
    // Each file is a component, or is gone.
    const { pool } = await statusOf(work);
    const paths = pool.components.map(({ path }) => path);
    for await (const { name } of Deno.readDir(work.directory)) {
      if (!name.endsWith(".img")) continue;
      assert(paths.includes(work.path(name)), name);
    }
  }
});

testUnless(
  "a full disk under the directory is said once, and used when it has space",
  NO_NATIVE_CALLS ?? await whyNoMount(),
  async () => {
    await using work = await makeSmallPool();
    await using tiny = await mountTiny(work.path("tiny"));
    const filler = tiny.file("filler");
    await Deno.writeFile(filler, new Uint8Array(2 ** 20 * 1.5));
    await using pool = await openPool([work.path("a")]);
    const events = new PoolEvents("demo");
    const extend = new AutoExtend({
      ...{ pool, events, stateDirectory: work.stateDirectory, retryMs: 20 },
      settings: {
        ...{ size: 2 ** 20, usedPercent: 50, max: 2 ** 30 },
        directory: tiny.path,
      },
    });
    events.watch(() => extend.wake());
    extend.wake();
    const kinds = async () => {
      const reader = events.history.read({ last: 100, follow: false });
      return (await reader.next() ?? []).map(({ kind }) => kind);
    };
    assertEquals(await kinds(), []);
    for (let v = 0; v < 3; v++) {
      await pool.volume().write(pattern(CHUNK, v), v * CHUNK);
    }
    extend.wake();
    const until = async (count: number) => {
      for (const end = performance.now() + PATIENCE_MS;;) {
        const all = await kinds();
        if (all.length >= count) return all;
        assert(performance.now() < end, `Only ${all}`);
        await pause(10);
      }
    };
    await until(1);
    await pause(200);
    assertEquals(await kinds(), ["extend-failed"]);
    await Deno.remove(filler);
    assertEquals(await until(2), ["extend-failed", "extended"]);
    extend.end();
    await extend.settled();
    assertEquals(pool.status().components.length, 2);
  },
);

Deno.test("virstor serve refuses options of --auto-extend that do not fit", async () => {
  await using work = await makeSmallPool();
  const all = ["--auto-extend=1M", "--auto-extend-max=1G"];
  const cases: [string[], number, RegExp][] = [
    [all, 64, /belong together/],
    [["--auto-extend-at=80"], 64, /belong together/],
    [
      [...all, "--auto-extend-in=.", "--auto-extend-at=0"],
      64,
      /takes 1 to 100/,
    ],
    [[...all, "--auto-extend-in=absent"], 3, /there is no such directory/],
    [[...all, "--auto-extend-in=a"], 3, /it is no directory/],
    [
      ["--auto-extend=1", "--auto-extend-max=1G", "--auto-extend-in=."],
      9,
      /by components of 1 byte .* at least \d+ bytes/,
    ],
  ];
  for (const [options, code, message] of cases) {
    const refused = await work.run(["serve", ...options, "demo"]);
    assertMatch(refused.stderr, message);
    assertEquals(refused.code, code);
  }
});
