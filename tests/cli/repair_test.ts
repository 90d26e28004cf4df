/**
 * `virstor repair`.
 *
 * @module
 */
import { assertEquals, assertMatch } from "@std/assert";
import { BusyClient } from "../helpers/busy_client.ts";
import type { Server, Workspace } from "../helpers/virstor.ts";
import {
  assertFilled,
  assertSound,
  fill,
  makeSmallPool,
  serve,
} from "./served.ts";

/** Bytes of the two superblocks at the end of a component. */
const SUPERBLOCKS_SIZE = 2 * 65_536;
/** Bytes of a page of the chunk table, three slots. */
const TABLE_PAGE_SIZE = 3 * 4096;

/** A stopped pool with three chunks. */
async function makeFilledPool(names = ["a"]): Promise<Workspace> {
  const work = await makeSmallPool("native", names);
  const server = await serve(work);
  {
    using client = await BusyClient.open(server);
    await fill(client, 3);
  }
  await server.stop();
  return work;
}

/** Spoils bytes of component a, counted from its end. */
async function spoil(
  work: Workspace,
  fromEnd: number,
  length: number,
): Promise<void> {
  const bytes = await Deno.readFile(work.path("a"));
  const start = bytes.length - fromEnd;
  bytes.fill(0xff, start, start + length);
  await Deno.writeFile(work.path("a"), bytes);
}

async function assertServable(work: Workspace): Promise<Server> {
  await assertSound(work);
  const server = await serve(work);
  using client = await BusyClient.open(server);
  await assertFilled(client, 3);
  return server;
}

Deno.test("virstor repair finds nothing to do in a sound pool", async () => {
  await using work = await makeFilledPool();
  const before = await Deno.readFile(work.path("a"));
  for (const options of [["--dry-run"], []]) {
    assertEquals(
      await work.succeed(["repair", ...options, "demo"]),
      'Pool "demo" needs no repair\n',
    );
  }
  assertEquals(await Deno.readFile(work.path("a")), before);
});

Deno.test("virstor repair writes lost superblocks anew", async () => {
  await using work = await makeFilledPool(["a", "b"]);
  await spoil(work, SUPERBLOCKS_SIZE, SUPERBLOCKS_SIZE);
  const spoilt = await Deno.readFile(work.path("a"));
  assertEquals((await work.run(["serve", "demo"])).code, 3);
  assertMatch(
    await work.succeed(["repair", "--dry-run", "demo"]),
    /^Would repair: \/.*\/a: .*\n$/,
  );
  assertEquals(await Deno.readFile(work.path("a")), spoilt);
  assertMatch(
    await work.succeed(["repair", "demo"]),
    /^Repaired: \/.*\/a: .*\n/,
  );
  await assertServable(work);
});

Deno.test("virstor repair says what it cannot repair", async () => {
  await using work = await makeFilledPool();
  await spoil(work, SUPERBLOCKS_SIZE, SUPERBLOCKS_SIZE);
  const spoilt = await Deno.readFile(work.path("a"));
  // No other component could tell what it was.
  const { code, stdout } = await work.run(["repair", "demo"]);
  assertEquals(code, 2, stdout);
  assertMatch(stdout, /^Cannot repair: Cannot open pool "demo": .*\n$/);
  assertEquals(await Deno.readFile(work.path("a")), spoilt);
});

Deno.test("virstor repair puts one damaged slot right", async () => {
  await using work = await makeFilledPool();
  await spoil(work, SUPERBLOCKS_SIZE, 65_536);
  const spoilt = await Deno.readFile(work.path("a"));
  const dry = await work.run(["repair", "--dry-run", "demo"]);
  assertEquals([dry.code, dry.stderr], [0, ""]);
  assertMatch(dry.stdout, /^Would repair: \/.*\/a: .*\n$/);
  const json = JSON.parse(
    await work.succeed(["repair", "--dry-run", "--json", "demo"]),
  );
  assertEquals(
    [json.name, json.dryRun, json.refused, json.repaired[0].kind],
    ["demo", true, [], "unsound"],
  );
  assertEquals(await Deno.readFile(work.path("a")), spoilt);
  assertMatch(
    await work.succeed(["repair", "demo"]),
    /^Repaired: \/.*\/a: .*\n$/,
  );
  assertEquals(
    await work.succeed(["repair", "demo"]),
    'Pool "demo" needs no repair\n',
  );
  await assertServable(work);
});

Deno.test("virstor check and repair say what was found, and what became of it", async () => {
  await using work = await makeFilledPool();
  await spoil(work, SUPERBLOCKS_SIZE, 65_536);
  const found = await work.succeed(["check", "demo"]);
  const [notice = "", verdict] = found.split("\n");
  assertEquals(verdict, 'Pool "demo" is sound');
  assertMatch(notice, /^Notice: \/.*\/a: .*: no data are lost; the next open /);
  const dry = await work.succeed(["repair", "--dry-run", "demo"]);
  const [where = "", what = ""] = notice.split(": ").slice(1);
  assertEquals(dry.startsWith(`Would repair: ${where}: ${what}`), true, dry);
  const done = await work.succeed(["repair", "demo"]);
  assertEquals(done, dry.replace("Would repair: ", "Repaired: "));
  for (const text of [found, dry, done]) {
    assertEquals(/\bnone\b/.test(text), false, text);
  }
  for (const text of [dry, done]) {
    assertEquals(/next open/.test(text), false, text);
  }
});

Deno.test("virstor repair refuses what would take guessing", async () => {
  await using work = await makeFilledPool();
  await spoil(work, SUPERBLOCKS_SIZE + TABLE_PAGE_SIZE, TABLE_PAGE_SIZE);
  const before = await Deno.readFile(work.path("a"));
  const { code, stdout } = await work.run(["repair", "demo"]);
  assertEquals(code, 2, stdout);
  assertMatch(stdout, /^(Cannot repair: \/.*\/a at \d+: .*\n)+$/);
  assertEquals(await Deno.readFile(work.path("a")), before);
});

Deno.test("virstor repair refuses a pool that is served", async () => {
  await using work = await makeFilledPool();
  const server = await assertServable(work);
  assertEquals(await work.run(["repair", "demo"]), {
    code: 8,
    stdout: "",
    stderr: `virstor: Cannot repair pool "demo": process ${server.pid} ` +
      "serves it, stop it first\n",
  });
});
