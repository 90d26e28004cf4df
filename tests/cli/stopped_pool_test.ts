/**
 * Every command on a pool that is not served.
 *
 * @module
 */
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { Workspace } from "../helpers/virstor.ts";

const MIB = 1024 ** 2;

async function makePool(work: Workspace, format = "native"): Promise<void> {
  await work.makeFile("a", 64 * MIB);
  await work.makeFile("b", 32 * MIB);
  const chunks = format === "native" ? ["-m", "1M"] : [];
  await work.succeed(
    ["label", "--format", format, "-s", "1G", ...chunks, "demo", "a", "b"],
  );
}

Deno.test("virstor label makes a pool, silent but for one line", async () => {
  await using work = await Workspace.create();
  await work.makeFile("a", 64 * MIB);
  await work.makeFile("b", 32 * MIB);
  const result = await work.run(["label", "-s", "1G", "demo", "a", "b"]);
  assertEquals(result, {
    code: 0,
    stdout: 'Labelled pool "demo": 1 GiB virtual, 94.75 MiB physical on ' +
      "2 components, chunks of 256 KiB\n",
    stderr: "",
  });
  assertEquals(
    await work.succeed(
      ["label", "-f", "--format", "freebsd", "-s", "1G", "demo", "a", "b"],
    ),
    'Labelled pool "demo": 1 GiB virtual, 88 MiB physical on ' +
      "2 components, chunks of 4 MiB\n",
  );
});

Deno.test("virstor label says on standard error what it fitted", async () => {
  await using work = await Workspace.create();
  await work.makeFile("a", 64 * MIB);
  const args = ["label", "-s", "1001M", "-m", "100000", "-fv", "demo", "a"];
  const native = await work.run(args);
  assertEquals({ code: native.code, stderr: native.stderr }, {
    code: 0,
    stderr: "virstor: Notice: The chunk size is rounded up to a power of " +
      "two, 64 KiB or more: 131072 bytes\n",
  });
  const freebsd = await work.run([...args, "--format", "freebsd"]);
  assertEquals(freebsd.code, 0);
  assertMatch(
    freebsd.stderr,
    /^virstor: Notice: The chunk size .*131072 bytes\nvirstor: Notice: .*\n$/,
  );
});

Deno.test("virstor label --create makes files, sparse", async () => {
  await using work = await Workspace.create();
  await work.succeed(
    ["label", "-v", "-s1G", "--create", "1G", "demo", "a", "b"],
  );
  const { size, blocks } = await Deno.stat(work.path("b"));
  assertEquals(size, 1024 * MIB);
  // The table, the superblocks and their overflows have their space.
  assertEquals((blocks ?? 0) * 512 < 3 * MIB, true);
});

Deno.test("virstor label -h ties a component to its name", async () => {
  await using work = await Workspace.create();
  const args = ["label", "-hv", "-s1G", "--create", "64M", "demo", "a"];
  await work.succeed([...args, "--format=freebsd"]);
  const [label] = JSON.parse(await work.succeed(["dump", "--json", "a"]));
  assertEquals(label.hardcodedName, "a");
});

Deno.test("virstor dump prints labels, also as JSON", async () => {
  await using work = await Workspace.create();
  await makePool(work);
  const labels = JSON.parse(await work.succeed(["dump", "--json", "a", "b"]));
  const { poolUuid, members } = labels[0];
  const common = {
    format: "native",
    name: "demo",
    poolUuid,
    generation: 1,
    clean: true,
    tableDigest: 0,
    compat: 0,
    readOnlyCompat: 0,
    virtualSize: 1024 * MIB,
    chunkSize: MIB,
    members,
    readOnly: false,
  };
  const [a, b] = members;
  assertEquals(labels, [
    {
      path: "a",
      ...common,
      componentUuid: a.uuid,
      componentSize: 64 * MIB,
      overflowSize: 262_144,
    },
    {
      path: "b",
      ...common,
      componentUuid: b.uuid,
      componentSize: 32 * MIB,
      overflowSize: 131_072,
    },
  ]);
  assertEquals([a.state, a.chunkCount], ["active", 63]);
  const text = await work.succeed(["dump", "b"]);
  assertMatch(text, /^Label on b:\n {2}Format: +native\n {2}Pool: +demo\n/);
  assertMatch(text, /\n {2}Component size: +33554432 bytes \(32 MiB\)\n/);
  assertMatch(text, /\n {2}Superblock room: +196608 bytes \(192 KiB\)\n/);
  assertStringIncludes(text, `1 of 2, ${b.uuid}\n`);
  assertStringIncludes(text, `${a.uuid}, active, 63 chunks\n`);
});

Deno.test("virstor dump prints FreeBSD's labels, also as JSON", async () => {
  await using work = await Workspace.create();
  await makePool(work, "freebsd");
  const labels = JSON.parse(await work.succeed(["dump", "--json", "a", "b"]));
  const id = labels[0].id;
  const common = {
    format: "freebsd",
    name: "demo",
    id,
    virtualSize: 1024 * MIB,
    chunkSize: 4 * MIB,
    count: 2,
    hardcodedName: "",
  };
  assertEquals(labels, [
    {
      path: "a",
      ...common,
      index: 0,
      componentSize: 64 * MIB,
      chunkCount: 15,
      chunkNext: 2,
      chunkReserved: 2,
      flags: 3,
    },
    {
      path: "b",
      ...common,
      index: 1,
      componentSize: 32 * MIB,
      chunkCount: 7,
      chunkNext: 0,
      chunkReserved: 0,
      flags: 0,
    },
  ]);
  const text = await work.succeed(["dump", "b"]);
  assertMatch(text, /^Label on b:\n {2}Format: +freebsd\n {2}Pool: +demo\n/);
  assertMatch(text, /Component size: +33554432 bytes \(32 MiB\)\n/);
});

Deno.test("virstor status shows a stopped pool, also as JSON", async () => {
  await using work = await Workspace.create();
  await makePool(work);
  const text = await work.succeed(["status", "demo"]);
  assertMatch(text, /^Pool: +demo\nHealth: .*\nState: +stopped\n/);
  assertMatch(text, /\n 1 +32 MiB +31 +0 +31 +0 +0% +\/.*\/b\n/);
  const { pool, server } = JSON.parse(
    await work.succeed(["status", "--json", "demo"]),
  );
  assertEquals(server, null);
  assertEquals(
    [
      pool.name,
      pool.virtualSize,
      pool.physicalChunks,
      pool.reservedChunks,
      pool.usedChunks,
      pool.freeChunks,
      pool.components.length,
      pool.delayed.count,
    ],
    ["demo", 1024 * MIB, 94, 0, 0, 94, 2, 0],
  );
  // Scripts know these names, whatever the library calls them.
  assertEquals(pool.fullTimeoutSeconds, 0);
  assertEquals(pool.counters, {
    reads: 0,
    writes: 0,
    flushes: 0,
    discards: 0,
    zeroes: 0,
    firstWrites: 0,
    readBytes: 0,
    writtenBytes: 0,
  });
});

Deno.test("virstor status without names shows a line a pool", async () => {
  await using work = await Workspace.create();
  assertEquals(
    await work.succeed(["status"]),
    'No pool is known; look for some with "virstor taste DIR"\n',
  );
  await makePool(work);
  await work.succeed(
    ["label", "-s", "1G", "--create", "64M", "other", "c"],
  );
  await Deno.remove(work.path("c"));
  assertEquals(
    (await work.succeed(["status"])).split("\n").map((line) =>
      line.replaceAll(/ {2,}/g, "  ")
    ),
    [
      "Name  Health  State  Virtual  Physical  Used%  Free  Delayed  Components",
      "demo  healthy  stopped  1 GiB  94 MiB  0%  94 MiB  0  2",
      "other  failed  not-found  -  -  -  -  -  -",
      "",
    ],
  );
  const [demo, other] = JSON.parse(await work.succeed(["status", "--json"]));
  assertEquals(demo.pool.name, "demo");
  assertEquals([other.name, other.pool], ["other", null]);
  assertEquals(other.error.code, "not-found");
});

Deno.test("virstor list names the pools and their components", async () => {
  await using work = await Workspace.create();
  await makePool(work);
  const [pool] = JSON.parse(await work.succeed(["list", "--json"]));
  assertEquals(pool, {
    name: "demo",
    id: pool.id,
    state: "stopped",
    uri: null,
    format: "native",
    virtualSize: 1024 * MIB,
    chunkSize: MIB,
    components: [work.path("a"), work.path("b")],
    error: null,
  });
  const text = await work.succeed(["list"]);
  assertMatch(text, /^Pool: +demo\n/);
  assertStringIncludes(text, work.path("b"));
});

Deno.test("virstor add and remove change a stopped pool", async () => {
  await using work = await Workspace.create();
  await makePool(work);
  assertEquals(
    await work.succeed(["add", "-v", "--create", "20M", "demo", "c", "d"]),
    'Added 2 components to pool "demo"\n' +
      `2: ${work.path("c")}, 20 MiB, 19 chunks\n` +
      `3: ${work.path("d")}, 20 MiB, 19 chunks\n`,
  );
  assertEquals(
    await work.succeed(["remove", "-v", "demo", "c"]),
    `Removed 1 component from pool "demo"\n${work.path("c")}\n`,
  );
  const { pool } = JSON.parse(
    await work.succeed(["status", "--json", "demo"]),
  );
  assertEquals(
    pool.components.map(({ path }: { path: string }) => path),
    [work.path("a"), work.path("b"), work.path("d")],
  );
  assertEquals((await work.run(["dump", "c"])).code, 3);
  assertEquals(
    await work.succeed(["check", "demo"]),
    'Pool "demo" is sound\n',
  );
});

Deno.test("virstor clear takes labels away and forgets the pool", async () => {
  await using work = await Workspace.create();
  await makePool(work);
  assertEquals(
    await work.succeed(["clear", "-v", "a", "b"]),
    `Cleared ${work.path("a")}, a component of pool "demo"\n` +
      `Cleared ${work.path("b")}, a component of pool "demo"\n`,
  );
  assertEquals((await work.run(["dump", "a"])).code, 3);
  assertEquals((await work.run(["status", "demo"])).code, 3);
  assertEquals(await work.succeed(["list", "--json"]), "[]\n");
  await work.succeed(["label", "-s", "1G", "demo", "a", "b"]);
});

Deno.test("virstor taste brings a lost registry back", async () => {
  await using work = await Workspace.create();
  await makePool(work);
  await Deno.remove(work.stateDirectory, { recursive: true });
  assertEquals((await work.run(["status", "demo"])).code, 3);
  assertEquals(
    await work.succeed(["taste", "."]),
    'Pool "demo": 2 of 2 components\n',
  );
  await work.succeed(["status", "demo"]);
});

Deno.test("virstor taste finds components that have moved", async () => {
  await using work = await Workspace.create();
  await makePool(work);
  await Deno.mkdir(work.path("new"));
  await Deno.rename(work.path("b"), work.path("new/other name"));
  const { code, stderr } = await work.run(["status", "demo"]);
  assertEquals({ code, stderr: stderr.replace(/ \([\da-f-]{36}\)/, "") }, {
    code: 3,
    stderr: 'virstor: Cannot open pool "demo": component 1 of 2 (counted ' +
      `from 0) is missing (cannot open "${work.path("b")}": there is no ` +
      "such file), say where with --component, or run virstor taste\n",
  });
  // What did not move is known already.
  assertEquals(
    await work.succeed(["taste", "new"]),
    'Pool "demo": 2 of 2 components\n',
  );
  const [pool] = JSON.parse(await work.succeed(["list", "--json"]));
  assertEquals(pool.components, [work.path("a"), work.path("new/other name")]);
});

Deno.test("virstor taste registers what there is of a pool", async () => {
  await using work = await Workspace.create();
  await makePool(work);
  await Deno.remove(work.stateDirectory, { recursive: true });
  assertEquals(
    await work.succeed(["taste", "b"]),
    'Pool "demo": 1 of 2 components; component 0 missing\n',
  );
  const { pools, rejected } = JSON.parse(
    await work.succeed(["taste", "--json", "."]),
  );
  assertEquals(pools[0].missing, []);
  assertEquals(rejected, []);
});

Deno.test("virstor taste says why it passes files over", async () => {
  await using work = await Workspace.create();
  await work.makeFile("empty", MIB);
  const { code, stdout, stderr } = await work.run(["taste", "empty"]);
  assertEquals({ code, stdout }, { code: 3, stdout: "" });
  const [passed, none] = stderr.split("\n");
  assertMatch(passed ?? "", /^virstor: Notice: Passed over ".*empty": /);
  assertEquals(none, `virstor: No pool found in "${work.path("empty")}"`);
});

Deno.test("virstor finds its state in the given directory", async () => {
  await using work = await Workspace.create();
  const env = { VIRSTOR_STATE_DIR: "" };
  await work.succeed(
    ["label", "-s", "1G", "--create", "64M", "--state-dir", "s", "demo", "a"],
    { env },
  );
  await work.succeed(["--state-dir", "s", "status", "demo"], { env });
  await Deno.stat(work.path("s/pools/demo.json"));
  await work.succeed(["taste", "a"], {
    env: { ...env, XDG_STATE_HOME: work.path("xdg") },
  });
  await Deno.stat(work.path("xdg/virstor/pools/demo.json"));
  await work.succeed(["taste", "a"], {
    env: { ...env, XDG_STATE_HOME: "ignored", HOME: work.path("home") },
  });
  await Deno.stat(work.path("home/.local/state/virstor/pools/demo.json"));
});

Deno.test("virstor ignores a damaged entry of the registry", async () => {
  await using work = await Workspace.create();
  await makePool(work);
  const path = work.path("state/pools/demo.json");
  for (const text of ["{", '{"name": 1}']) {
    await Deno.writeTextFile(path, text);
    const { code, stderr } = await work.run(["status", "demo"]);
    assertEquals(code, 3);
    assertMatch(
      stderr,
      /^virstor: Ignoring ".*demo.json": .*\nvirstor: Cannot find pool .*\n$/,
    );
  }
  // Reading it would wait for a writer.
  await Deno.remove(path);
  await new Deno.Command("mkfifo", { args: [path] }).output();
  const { code, stderr } = await work.run(["status", "demo"]);
  assertEquals(code, 3);
  assertMatch(stderr, /^virstor: Ignoring ".*demo.json": it is no entry .*\n/);
  await work.succeed(["taste", "."]);
  await work.succeed(["status", "demo"]);
});

Deno.test("virstor reads a registry that knows ids as numbers", async () => {
  await using work = await Workspace.create();
  await makePool(work, "freebsd");
  const path = work.path("state/pools/demo.json");
  const entry = JSON.parse(await Deno.readTextFile(path));
  const old = { ...entry, id: Number(entry.id) };
  await Deno.writeTextFile(path, JSON.stringify(old));
  await Deno.rename(work.path("b"), work.path("moved"));
  // Its id tells that this is a part of the pool that is known.
  assertEquals(
    await work.succeed(["taste", "moved"]),
    'Pool "demo": 2 of 2 components\n',
  );
  assertEquals(
    JSON.parse(await Deno.readTextFile(path)),
    {
      name: "demo",
      id: entry.id,
      components: [work.path("a"), work.path("moved")],
      sizes: entry.sizes,
    },
  );
  assertEquals(entry.sizes.length, 2);
});

Deno.test("virstor keeps the registry of any name in one file", async () => {
  await using work = await Workspace.create();
  await work.succeed(
    ["label", "-s", "1G", "--create", "64M", "--", "-a:b+c=d", "a"],
  );
  await work.succeed(["status", "--", "-a:b+c=d"]);
  const entries = [...Deno.readDirSync(work.path("state/pools"))];
  assertEquals(entries.map(({ name }) => name), ["-a%3Ab%2Bc%3Dd.json"]);
});

Deno.test("virstor ends quietly when its output is closed", async () => {
  await using work = await Workspace.create();
  await makePool(work);
  const code = await work.runUnread(["list"]);
  assertEquals(code, { code: 141, stderr: "" });
});
