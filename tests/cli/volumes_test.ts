/**
 * The commands for volumes and snapshots, on a served pool and on a stopped
 * one: what they print, and what clients and later commands see.
 *
 * @module
 */
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { BusyClient, LOST } from "../helpers/busy_client.ts";
import { MIB, pattern } from "../helpers/scratch.ts";
import { MAIN_ARGS, type Server, type Workspace } from "../helpers/virstor.ts";
import { peerTest } from "../helpers/peers.ts";
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

/** Makes tests of a served pool and of a stopped one. */
function testBoth(
  name: string,
  test: (work: Workspace, isServed: boolean) => Promise<void>,
): void {
  for (const isServed of [false, true]) {
    const state = isServed ? "served" : "stopped";
    Deno.test(`${name} (${state})`, async () => {
      await using work = await makeSmallPool("native", NAMES);
      if (isServed) await serve(work);
      await test(work, isServed);
      await assertSound(work);
    });
  }
}

/** What a removal says of the space that it frees. */
function freedLine(isServed: boolean, size: string): string {
  return isServed
    ? 'Its space is being freed: "virstor status demo" shows the progress\n'
    : `Freed ${size}\n`;
}

/** Writes a block to a chunk of an export, and flushes. */
async function put(
  server: Server,
  name: string,
  chunk: number,
  seed: number,
): Promise<void> {
  using client = await BusyClient.open(server, name);
  const reply = await client.write(chunk * CHUNK, pattern(BLOCK, seed));
  assertEquals(reply.errno, 0);
  assertEquals((await client.flush()).errno, 0);
  await client.disconnect();
}

/** Asserts which block a chunk of an export begins with; 0 means zeroes. */
async function assertBlock(
  server: Server,
  name: string,
  chunk: number,
  seed: number,
): Promise<void> {
  using client = await BusyClient.open(server, name);
  const { errno, payload } = await client.read(chunk * CHUNK, BLOCK);
  const wanted = seed === 0 ? new Uint8Array(BLOCK) : pattern(BLOCK, seed);
  assertEquals({ errno, payload }, { errno: 0, payload: wanted }, name);
  await client.disconnect();
}

async function listed(work: Workspace, ...words: string[]): Promise<unknown> {
  return JSON.parse(await work.succeed([...words, "--json"]));
}

testBoth(
  "volumes are created, listed, renamed, resized and removed",
  async (work, isServed) => {
    assertEquals(
      await work.succeed(["volume", "create", "-s", "1000000", "demo/v"]),
      'Created volume "demo/v" of 1048576 bytes (1 MiB)\n',
    );
    assertEquals(
      await work.succeed(["volume", "list"]),
      [
        "Name      Size  Referenced  Unique  Snapshots  Parent",
        "demo    64 MiB         0 B     0 B          0       -",
        "demo/v   1 MiB         0 B     0 B          0       -",
        "",
      ].join("\n"),
    );
    assertEquals(
      await work.succeed(["volume", "rename", "demo/v", "w"]),
      'Renamed volume "demo/v" to "demo/w"\n',
    );
    assertEquals(
      (await work.run(["resize", "demo/w", "2M"])).stdout,
      'Resized volume "demo/w" from 1048576 bytes (1 MiB) to 2097152 bytes ' +
        "(2 MiB)\n",
    );
    const { pool } = await statusOf(work);
    assertEquals(pool.volumes.map(({ name, size }) => [name, size]), [
      ["demo", 64 * MIB],
      ["w", 2 * MIB],
    ]);
    assertEquals(
      await work.succeed(["volume", "remove", "demo/w"]),
      `Removed volume "demo/w"\n${freedLine(isServed, "0 B")}`,
    );
    const gone = await work.run(["volume", "remove", "demo/w"]);
    assertEquals(gone.code, 3);
    assertMatch(gone.stderr, /Cannot remove volume "demo\/w": .* no such/);
  },
);

testBoth("snapshots are taken, listed, cloned and removed", async (
  work,
  isServed,
) => {
  await work.succeed(["volume", "create", "-s", "1M", "demo/v"]);
  assertEquals(
    await work.succeed(["snapshot", "demo@s", "demo/v@s"]),
    'Took snapshot "demo@s"\nTook snapshot "demo/v@s"\n',
  );
  const status = await work.succeed(["status", "demo"]);
  assertMatch(
    status,
    /^Volumes: +2: demo 64 MiB \(1 snapshot\), demo\/v 1 MiB \(1 snapshot\)$/m,
  );
  assertMatch(status, /^Snapshots: +2$/m);
  assertMatch(
    status,
    /\n\nName +Size +Referenced +Unique +Snapshots +Parent\n/,
  );
  assertMatch(status, /^demo\/v +1 MiB +0 B +0 B +1 +-$/m);
  assertEquals(
    await work.succeed(["clone", "demo/v@s", "demo/c"]),
    'Cloned "demo/v@s" as volume "demo/c"\n',
  );
  // Completion reads the names there.
  const entry = await Deno.readTextFile(
    `${work.stateDirectory}/pools/demo.json`,
  );
  assertEquals(JSON.parse(entry).volumes, [
    ...["demo@s", "demo/v", "demo/v@s", "demo/c"],
  ]);
  const words = ["snapshot", "list", "demo/v"];
  const [one] = await listed(work, ...words) as Record<string, unknown>[];
  assertEquals(
    { ...one, created: "" },
    {
      pool: "demo",
      volume: "v",
      name: "s",
      size: MIB,
      created: "",
      referencedBytes: 0,
      uniqueBytes: 0,
      clones: ["c"],
    },
  );
  const kept = await work.run(["snapshot", "remove", "demo/v@s"]);
  assertEquals(kept.code, 4);
  assertStringIncludes(
    kept.stderr,
    'remove "demo/v@s": it has clones ("demo/c")',
  );
  assertEquals(
    await work.succeed(["volume", "flatten", "demo/c"]),
    'Flattened volume "demo/c"\n',
  );
  assertEquals(
    await work.succeed(["snapshot", "remove", "demo/v@s", "demo@s"]),
    'Removed snapshot "demo/v@s"\nRemoved snapshot "demo@s"\n' +
      freedLine(isServed, "0 B"),
  );
  assertEquals(await listed(work, "snapshot", "list"), []);
});

testBoth("a word that names nothing useful is wrong usage", async (work) => {
  const cases: [string[], RegExp][] = [
    [["volume"], /^virstor: Command "volume" needs another word\nThere are /],
    [["volume", "make"], /^virstor: Unknown command "volume make"\n/],
    [["volume", "create", "demo/v"], /needs --size\nUsage: /],
    [["volume", "create", "-s", "1M", "demo"], /"demo" names no volume\n/],
    [["volume", "rename", "demo", "x"], /"demo" names no volume\n/],
    [["volume", "remove", "-f", "--dry-run", "demo/v"], /exclude one another/],
    [["volume", "remove", "--wait", "--dry-run", "demo/v"], /exclude one an/],
    [["volume", "remove", "--json", "demo/v"], /--json needs --dry-run/],
    [["snapshot", "demo"], /"demo" names no snapshot\n/],
    [["snapshot", "demo@"], /A name is empty in "demo@"\n/],
    [["snapshot", "demo/@a"], /A name is empty in "demo\/@a"\n/],
    [["snapshot", "demo@a", "other@a"], /pool "demo" and of pool "other"\n/],
    [["clone", "demo@a", "other/b"], /stays in its pool, "demo"\n/],
    [["diff", "demo@a", "demo/v"], /is not of volume "demo"\n/],
  ];
  for (const [words, message] of cases) {
    const { code, stderr } = await work.run(words);
    assertEquals(code, 64, stderr);
    assertMatch(stderr, message);
  }
});

testBoth("what volumes and snapshots refuse has an exit code", async (work) => {
  await work.succeed(["volume", "create", "-s", "1M", "demo/v"]);
  await work.succeed(["snapshot", "demo/v@a"]);
  await work.succeed(["snapshot", "demo/v@b"]);
  const cases: [string[], number, RegExp][] = [
    [["volume", "create", "-s", "1M", "demo/v"], 4, /it exists already/],
    [["volume", "create", "-s", "0", "demo/w"], 9, /it is 1 to/],
    [
      ["volume", "remove", "demo/v"],
      4,
      /has the snapshots "demo\/v@a", "demo\/v@b"/,
    ],
    [["volume", "remove", "demo/demo"], 9, /the first volume .* stays/],
    [["volume", "remove", "--dry-run", "demo/demo"], 9, /the first volume/],
    [["volume", "flatten", "demo/v"], 9, /it is no clone/],
    [["snapshot", "demo/v@a"], 4, /it exists already/],
    [["snapshot", "demo/v@a", "demo/v@c"], 4, /exists already|at a time/],
    [["snapshot", "demo/x@a"], 3, /Cannot find volume "demo\/x"/],
    [["snapshot", "remove", "demo/v@b", "demo/v@c"], 3, /no such snapshot/],
    [["rollback", "demo/v@a"], 4, /there are newer snapshots: "demo\/v@b"/],
    [["clone", "demo/v@a", "demo/v"], 4, /it exists already/],
    [["diff", "demo/v@x"], 3, /there is no such snapshot/],
    [["snapshot", "list", "demo/x"], 3, /no such volume/],
  ];
  for (const [words, code, message] of cases) {
    const result = await work.run(words);
    assertEquals(result.code, code, `${words.join(" ")}: ${result.stderr}`);
    assertMatch(result.stderr, message);
  }
  const unknown = await work.run(["snapshot", "list", "demo/x"]);
  assertEquals(unknown.stdout, "");
  const names = await listed(work, "snapshot", "list") as { name: string }[];
  assertEquals(names.map(({ name }) => name), ["a", "b"]);
});

Deno.test("a served pool exports volumes and snapshots as they come and go", async () => {
  await using work = await makeSmallPool("native", NAMES);
  const server = await serve(work);
  await work.succeed(["volume", "create", "-s", "1M", "demo/v"]);
  await put(server, "demo", 0, 1);
  await put(server, "demo/v", 0, 2);
  await work.succeed(["snapshot", "demo@s", "demo/v@s"]);
  await put(server, "demo", 0, 3);
  await put(server, "demo/v", 0, 4);
  await work.succeed(["clone", "demo/v@s", "demo/c"]);
  await put(server, "demo/c", 1, 5);
  for (
    const [name, chunk, seed] of [
      ["demo", 0, 3],
      ["demo/v", 0, 4],
      ["demo@s", 0, 1],
      ["demo/v@s", 0, 2],
      ["demo/v@s", 1, 0],
      ["demo/c", 0, 2],
      ["demo/c", 1, 5],
      ["", 0, 3],
    ] as const
  ) await assertBlock(server, name, chunk, seed);
  using reader = await BusyClient.open(server, "demo/v@s");
  const refused = await reader.write(0, pattern(BLOCK, 9));
  assertEquals(refused.errno, 1);
  using writer = await BusyClient.open(server, "demo/c");
  await work.succeed(["volume", "rename", "demo/c", "d"]);
  assertEquals((await writer.write(CHUNK, pattern(BLOCK, 6))).errno, 0);
  await assertBlock(server, "demo/d", 1, 6);
  await work.succeed(["volume", "flatten", "demo/d"]);
  await work.succeed(["snapshot", "remove", "demo/v@s"]);
  assertEquals((await reader.read(0, BLOCK)).errno, LOST);
  await work.succeed(["volume", "remove", "-f", "demo/d"]);
  assertMatch(server.stderr, / volumes: Removed "demo\/d"$/m);
  assertMatch(server.stderr, / volumes: Took "demo@s", "demo\/v@s", at one/);
  assertEquals((await writer.read(0, BLOCK)).errno, LOST);
  await server.said(/ disconnected: .* "demo\/v@s" was removed$/m);
  // The client keeps the name that it has asked for.
  await server.said(/ disconnected: .* "demo\/d" was removed$/m);
  // The name of what was removed is free.
  await work.succeed(["snapshot", "demo/v@s"]);
  await assertBlock(server, "demo/v@s", 0, 4);
  await assertSound(work);
  const list = await listed(work, "volume", "list", "demo");
  assertEquals((list as { name: string }[]).map(({ name }) => name), [
    "demo",
    "v",
  ]);
  // Clients of any volume keep the pool from being stopped.
  using last = await BusyClient.open(server, "demo/v");
  assertEquals((await work.run(["stop", "demo"])).code, 8);
  const { server: told } = await statusOf(work);
  assertEquals(told?.clients.map(({ exportName }) => exportName), ["demo/v"]);
  await work.succeed(["stop", "-f", "demo"]);
  assertEquals((await last.read(0, BLOCK)).errno, LOST);
  await assertSound(work);
});

Deno.test("virstor rollback ends the connections of its volume", async () => {
  await using work = await makeSmallPool("native", NAMES);
  const server = await serve(work);
  await work.succeed(["volume", "create", "-s", "1M", "demo/v"]);
  await put(server, "demo/v", 0, 1);
  await work.succeed(["snapshot", "demo/v@a"]);
  await put(server, "demo/v", 0, 2);
  await work.succeed(["snapshot", "demo/v@b"]);
  using client = await BusyClient.open(server, "demo/v");
  using other = await BusyClient.open(server, "demo");
  using newer = await BusyClient.open(server, "demo/v@b");
  const busy = await work.run(["rollback", "-r", "demo/v@a"]);
  assertEquals({ code: busy.code, stderr: busy.stderr }, {
    code: 8,
    stderr: 'virstor: Cannot roll back to "demo/v@a": 1 client is connected ' +
      "to the volume; disconnect, or use -f\n",
  });
  // A rollback that is refused changes nothing for the clients.
  assertEquals((await work.run(["rollback", "-f", "demo/v@a"])).code, 4);
  assertEquals((await client.read(0, BLOCK)).payload, pattern(BLOCK, 2));
  assertEquals(
    await work.succeed(["rollback", "-fr", "demo/v@a"]),
    'Rolled "demo/v" back to "demo/v@a"\n',
  );
  assertEquals((await client.read(0, BLOCK)).errno, LOST);
  assertEquals((await newer.read(0, BLOCK)).errno, LOST);
  assertEquals((await other.read(0, BLOCK)).errno, 0);
  await server.said(/ disconnected: .* "demo\/v" was rolled back$/m);
  await server.said(/ disconnected: .* "demo\/v@b" was removed$/m);
  await assertBlock(server, "demo/v", 0, 1);
  await put(server, "demo/v", 0, 3);
  await assertBlock(server, "demo/v", 0, 3);
  await assertBlock(server, "demo/v@a", 0, 1);
  await other.disconnect();
  await assertSound(work);
});

Deno.test("virstor rollback of the first volume leads nowhere else", async () => {
  await using work = await makeSmallPool("native", NAMES);
  const server = await serve(work);
  await work.succeed(["volume", "create", "-s", "1M", "demo/v"]);
  await put(server, "demo/v", 0, 9);
  await put(server, "demo", 0, 1);
  await work.succeed(["snapshot", "demo/demo@a"]);
  await put(server, "demo", 0, 2);
  using client = await BusyClient.open(server);
  using other = await BusyClient.open(server, "demo/v");
  await work.succeed(["rollback", "-f", "demo@a"]);
  assertEquals((await client.read(0, BLOCK)).errno, LOST);
  assertEquals((await other.read(0, BLOCK)).errno, 0);
  for (const name of ["", "demo", "demo@a"]) {
    await assertBlock(server, name, 0, 1);
  }
  await assertSound(work);
});

Deno.test("a pool of FreeBSD's format has one volume and no snapshots", async () => {
  await using work = await makeSmallPool("freebsd");
  await serve(work);
  for (
    const words of [
      ["volume", "create", "-s", "1M", "demo/v"],
      ["volume", "remove", "-f", "demo/v"],
      ["volume", "rename", "demo/v", "w"],
      ["volume", "set", "demo", "quota=1M"],
      ["volume", "flatten", "demo/v"],
      ["snapshot", "demo@a"],
      ["snapshot", "remove", "demo/v@a"],
      ["snapshot", "remove", "--dry-run", "demo/v@a"],
      ["rollback", "demo/v@a"],
      ["clone", "demo/v@a", "demo/c"],
      ["diff", "demo@a"],
    ]
  ) {
    const { code, stderr } = await work.run(words);
    assertMatch(stderr, /has one volume and no snapshots/, words.join(" "));
    assertEquals(code, 7);
  }
  const list = await listed(work, "volume", "list", "demo");
  assertEquals((list as { name: string }[]).map(({ name }) => name), ["demo"]);
  await assertSound(work);
});

Deno.test("virstor rollback of a stopped pool", async () => {
  await using work = await makeSmallPool("native", NAMES);
  const server = await serve(work);
  await put(server, "demo", 0, 1);
  await work.succeed(["snapshot", "demo@a"]);
  await put(server, "demo", 0, 2);
  await work.succeed(["stop", "demo"]);
  await work.succeed(["rollback", "demo@a"]);
  await assertBlock(await serve(work), "demo", 0, 1);
  await assertSound(work);
});

Deno.test("virstor volume remove asks before data are lost", async () => {
  await using work = await makeSmallPool("native", NAMES);
  const server = await serve(work);
  await work.succeed(["volume", "create", "-s", "1M", "demo/v"]);
  await put(server, "demo/v", 0, 1);
  assertEquals(
    await work.succeed(["volume", "remove", "--dry-run", "demo/v"]),
    'Volume "demo/v" holds 128 KiB; its removal would free 128 KiB\n',
  );
  assertEquals(
    JSON.parse(
      await work.succeed([
        ...["volume", "remove", "--dry-run", "--json", "demo/v"],
      ]),
    ),
    {
      name: "demo/v",
      referencedBytes: CHUNK,
      uniqueBytes: CHUNK,
      snapshots: [],
    },
  );
  assertEquals(await work.run(["volume", "remove", "demo/v"]), {
    code: 4,
    stdout: "",
    stderr: 'virstor: Cannot remove volume "demo/v": it holds 128 KiB of ' +
      "data, -f removes it\n",
  });
  await assertBlock(server, "demo/v", 0, 1);
  assertEquals(
    await work.succeed(["volume", "remove", "-f", "--wait", "demo/v"]),
    'Removed volume "demo/v"\nFreed 128 KiB\n',
  );
  await assertSound(work);
});

for (const [typed, code] of [["demo/v", 0], ["demo", 1], ["", 1]] as const) {
  peerTest(
    `virstor volume remove at a terminal, where "${typed}" is typed`,
    ["script"],
    async () => {
      await using work = await makeSmallPool("native", NAMES);
      const server = await serve(work);
      await work.succeed(["volume", "create", "-s", "1M", "demo/v"]);
      await put(server, "demo/v", 0, 1);
      const words = [Deno.execPath(), ...MAIN_ARGS, "volume", "remove"];
      const process = new Deno.Command("script", {
        args: ["-qec", [...words, "demo/v"].join(" "), "/dev/null"],
        env: { NO_COLOR: "1", VIRSTOR_STATE_DIR: work.stateDirectory },
        stdin: "piped",
        stdout: "piped",
      }).spawn();
      const writer = process.stdin.getWriter();
      await writer.write(new TextEncoder().encode(`${typed}\n`));
      const output = await process.output();
      await writer.close();
      const text = new TextDecoder().decode(output.stdout);
      assertStringIncludes(
        text,
        'Volume "demo/v" holds 128 KiB, which will be lost. Type its name ',
      );
      assertEquals(output.code, code, text);
      const gone = typed === "demo/v";
      assertStringIncludes(
        text,
        gone ? 'Removed volume "demo/v"' : "its name was not typed, it stays",
      );
      const left = gone ? ["demo"] : ["demo", "v"];
      const list = await listed(work, "volume", "list", "demo");
      assertEquals((list as { name: string }[]).map(({ name }) => name), left);
    },
  );
}

Deno.test("virstor diff tells what was written and discarded", async () => {
  await using work = await makeSmallPool("native", NAMES);
  const server = await serve(work);
  await put(server, "demo", 0, 1);
  await put(server, "demo", 2, 1);
  await work.succeed(["snapshot", "demo@a"]);
  assertEquals(
    await work.succeed(["diff", "demo@a"]),
    "Nothing has changed\n",
  );
  await put(server, "demo", 2, 2);
  await put(server, "demo", 3, 2);
  await work.succeed(["snapshot", "demo@b"]);
  await put(server, "demo", 7, 3);
  const middle = [{ offset: 2 * CHUNK, length: 2 * CHUNK, hole: false }];
  const last = { offset: 7 * CHUNK, length: CHUNK, hole: false };
  assertEquals(await listed(work, "diff", "demo@a", "demo@b"), middle);
  assertEquals(await listed(work, "diff", "demo@a"), [...middle, last]);
  assertEquals(await listed(work, "diff", "demo@a", "demo"), [
    ...middle,
    last,
  ]);
  assertEquals(await listed(work, "diff", "demo@b"), [last]);
  await work.succeed(["stop", "demo"]);
  assertEquals(
    await work.succeed(["diff", "demo@a"]),
    "Offset  Length  Now\n" +
      "262144  262144  data\n" +
      "917504  131072  data\n",
  );
});
