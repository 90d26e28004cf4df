/**
 * The figures of volumes and snapshots: those of all commands agree, and what a
 * removal is said to free is what it frees.
 *
 * @module
 */
import { assertEquals, assertMatch } from "@std/assert";
import { BusyClient } from "../helpers/busy_client.ts";
import { pattern } from "../helpers/scratch.ts";
import type { Workspace } from "../helpers/virstor.ts";
import {
  assertSound,
  BLOCK,
  CHUNK,
  makeSmallPool,
  serve,
  statusOf,
} from "./served.ts";

/** Components of 1 MiB: 24 chunks. */
const NAMES = ["a", "b", "c", "d"];

async function jsonOf(work: Workspace, ...words: string[]): Promise<unknown> {
  return JSON.parse(await work.succeed([...words, "--json"]));
}

/** Writes a block to each of some chunks. */
async function put(client: BusyClient, ...chunks: number[]): Promise<void> {
  for (const chunk of chunks) {
    const { errno } = await client.write(chunk * CHUNK, pattern(BLOCK, chunk));
    assertEquals(errno, 0);
  }
}

/**
 * A volume "demo/v" with three snapshots, whose chunks have these versions:
 * a: 00, 10, 20; b: 01, 10, 20, 30; c: 02, 11, 20, 30; now: 03, 11, 21, 30.
 */
async function layered(work: Workspace): Promise<void> {
  const server = await serve(work);
  await work.succeed(["volume", "create", "-s", "4M", "demo/v"]);
  using client = await BusyClient.open(server, "demo/v");
  await put(client, 0, 1, 2);
  await work.succeed(["snapshot", "demo/v@a"]);
  await put(client, 0, 3);
  await work.succeed(["snapshot", "demo/v@b"]);
  await put(client, 0, 1);
  await work.succeed(["snapshot", "demo/v@c"]);
  await put(client, 0, 2);
  await client.disconnect();
}

Deno.test("what snapshot remove --dry-run says is what the removal frees", async () => {
  await using work = await makeSmallPool("native", NAMES);
  await layered(work);
  const used = async () => (await statusOf(work)).pool.usedChunks;
  const remove = ["snapshot", "remove"];
  for (const isServed of [true, false]) {
    if (!isServed) await work.succeed(["stop", "demo"]);
    assertEquals(
      await work.succeed([...remove, "--dry-run", "demo/v@a"]),
      'Snapshot "demo/v@a" sees 384 KiB; its removal alone would free ' +
        "128 KiB\n",
    );
    assertEquals(
      await work.succeed([...remove, "--dry-run", "demo/v@c", "demo/v@a"]),
      [
        'Snapshot "demo/v@a" sees 384 KiB; its removal alone would free ' +
        "128 KiB",
        'Snapshot "demo/v@c" sees 512 KiB; its removal alone would free ' +
        "128 KiB",
        "The removal of all would free 256 KiB",
        "",
      ].join("\n"),
    );
  }
  // Together two snapshots free what they share, too.
  const both = ["demo/v@a", "demo/v@b"];
  const plan = await jsonOf(work, ...remove, "--dry-run", ...both);
  assertEquals(plan, {
    snapshots: both.map((name, i) => ({
      name,
      referencedBytes: (3 + i) * CHUNK,
      uniqueBytes: CHUNK,
      clones: [],
    })),
    freedBytes: 3 * CHUNK,
  });
  const before = await used();
  assertMatch(await work.succeed([...remove, ...both]), /\nFreed 384 KiB\n$/);
  assertEquals(await used(), before - 3);
  assertEquals(
    await work.succeed([...remove, "--dry-run", "demo/v@c"]),
    'Snapshot "demo/v@c" sees 512 KiB; its removal alone would free 256 KiB\n',
  );
  const missing = await work.run([...remove, "--dry-run", "demo/v@x"]);
  assertEquals(missing.code, 3);
  assertMatch(missing.stderr, /Cannot remove "demo\/v@x": there is no such/);
  for (const other of [["--wait", "--dry-run"], ["--json"]]) {
    assertEquals((await work.run([...remove, ...other, "demo/v@c"])).code, 64);
  }
  await assertSound(work);
});

Deno.test("snapshot remove --dry-run names clones that keep a snapshot", async () => {
  await using work = await makeSmallPool("native", NAMES);
  await work.succeed(["snapshot", "demo@a"]);
  await work.succeed(["clone", "demo@a", "demo/t"]);
  const words = ["snapshot", "remove", "--dry-run", "demo@a"];
  assertEquals(
    await work.succeed(words),
    'Snapshot "demo@a" sees 0 B; its removal alone would free 0 B\n' +
      'Its clones have to be flattened or removed first: "demo/t"\n',
  );
  const { snapshots } = await jsonOf(work, ...words) as {
    snapshots: { clones: string[] }[];
  };
  assertEquals(snapshots.map(({ clones }) => clones), [["demo/t"]]);
});

Deno.test("status and volume list show the same of each volume", async () => {
  await using work = await makeSmallPool("native", NAMES);
  await layered(work);
  await work.succeed(["clone", "demo/v@b", "demo/t"]);
  await work.succeed(["volume", "set", "demo/t", "quota=1M", "reserve=256K"]);
  for (const isServed of [true, false]) {
    if (!isServed) await work.succeed(["stop", "demo"]);
    const { pool: { volumes } } = await statusOf(work);
    const list = await jsonOf(work, "volume", "list", "demo");
    assertEquals(list, volumes.map((one) => ({ pool: "demo", ...one })));
    const all = await jsonOf(work, "status") as {
      pool: { volumes: unknown };
    }[];
    assertEquals(all.map(({ pool }) => pool.volumes), [volumes]);
    assertEquals(
      volumes.map((one) => {
        const { referencedBytes, uniqueBytes } = one as unknown as {
          referencedBytes: number;
          uniqueBytes: number;
        };
        const { name, parent, quota, reserve } = one;
        const chunks = [referencedBytes, uniqueBytes].map((one) => one / CHUNK);
        return [name, parent, quota, reserve, ...chunks];
      }),
      [
        ["demo", null, 0, 0, 0, 0],
        ["v", null, 0, 0, 4, 2],
        ["t", "v@b", 1024 * 1024, 2 * CHUNK, 4, 0],
      ],
    );
    const text = await work.succeed(["status", "demo"]);
    const table = await work.succeed(["volume", "list", "demo"]);
    assertEquals(text.endsWith(`\n\n${table}`), true, text);
    assertMatch(table, /^demo\/t .* 1 MiB +256 KiB .* demo\/v@b$/m);
  }
});

Deno.test("status shows the limits of a volume that is alone", async () => {
  await using work = await makeSmallPool("native", NAMES);
  const status = () => work.succeed(["status", "demo"]);
  assertEquals((await status()).includes("Quota"), false);
  await work.succeed(["volume", "set", "demo", "quota=1M"]);
  assertMatch(await status(), /^demo .* 1 MiB +0 /m);
});

Deno.test("virstor snapshot warns when writes may run out of space", async () => {
  await using work = await makeSmallPool("native", ["a"]);
  const server = await serve(work);
  using client = await BusyClient.open(server, "demo");
  await put(client, 0, 1, 2, 3);
  const { code, stderr } = await work.run(["snapshot", "demo@a"]);
  assertEquals(code, 0);
  assertMatch(
    stderr,
    /^virstor: Notice: Pool "demo" has 256 KiB free and shares 512 KiB with /m,
  );
  // A clone has no chunk of its own yet, and refers to as many.
  await work.succeed(["clone", "demo@a", "demo/c"]);
  assertMatch(
    (await work.run(["snapshot", "demo/c@b"])).stderr,
    /^virstor: Notice: Pool "demo" has 256 KiB free and shares 512 KiB with /m,
  );
});

Deno.test("virstor snapshot warns when a quota leaves too little, or a reserve", async () => {
  await using work = await makeSmallPool("native", NAMES);
  const server = await serve(work);
  await work.succeed(["volume", "create", "-s", "4M", "demo/v"]);
  using client = await BusyClient.open(server, "demo/v");
  await put(client, 0, 1, 2);
  await work.succeed(["volume", "set", "demo/v", "quota=640K"]);
  const { code, stderr } = await work.run(["snapshot", "demo/v@a", "demo@a"]);
  assertEquals({ code, stderr }, {
    code: 0,
    stderr: 'virstor: Notice: Volume "demo/v" may take 256 KiB until it ' +
      "reaches its quota and shares 384 KiB with its new snapshot: writes " +
      "there need chunks; raise the quota, or remove snapshots in time\n",
  });
  // What is set aside for another volume is not free for this one.
  const { pool } = await statusOf(work);
  const reserve = `reserve=${(pool.freeChunks - 1) * CHUNK}`;
  await work.succeed(["volume", "set", "demo", reserve]);
  await work.succeed(["volume", "set", "demo/v", "quota=none"]);
  assertMatch(
    (await work.run(["snapshot", "demo/v@b"])).stderr,
    /^virstor: Notice: Pool "demo" has 128 KiB free and shares 384 KiB with /,
  );
});
