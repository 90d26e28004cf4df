/**
 * A served pool, and every command on it from other processes.
 *
 * @module
 */
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { BusyClient } from "../helpers/busy_client.ts";
import { assertFreebsd } from "../helpers/freebsd_checker.ts";
import { NBD, NbdClient } from "../helpers/nbd_client.ts";
import { eventually } from "../helpers/patience.ts";
import { MIB, pattern } from "../helpers/scratch.ts";
import type { StatusReport } from "../../cli/control/control_protocol.ts";
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

/** Waits until a write is delayed. */
function untilDelayed(work: Workspace): Promise<StatusReport> {
  return untilStatus(work, ({ pool }) => pool.delayed.count === 1);
}

Deno.test("virstor serve prints the URI, and stops on SIGINT", async () => {
  await using work = await makeSmallPool();
  const server = await serve(work);
  assertMatch(server.stdout, /^nbd:\/\/localhost:\d+\/demo\n$/);
  {
    using client = await BusyClient.open(server);
    assertEquals(client.size, 64 * MIB);
    await fill(client, 2);
  }
  assertEquals((await server.stop()).code, 0);
  await assertSound(work);
  assertEquals(Array.from(Deno.readDirSync(work.path("state/control"))), []);
});

Deno.test("virstor serve stops on SIGTERM and SIGHUP too", async () => {
  await using work = await makeSmallPool();
  for (const signal of ["SIGTERM", "SIGHUP"] as const) {
    const server = await serve(work);
    server.signal(signal);
    const { code, stderr } = await server.ended();
    assertEquals(code, 0);
    assertMatch(stderr, new RegExp(`stopping: Got ${signal}`));
  }
});

Deno.test("virstor serve ends at once on a second signal", async () => {
  await using work = await makeSmallPool();
  // Unread replies hold up the end; for ever, as it were.
  const server = await serve(work, "--grace", "86400");
  using client = await NbdClient.open(server);
  for (let i = 0; i < 32; i++) {
    await client.send({ command: NBD.CMD_READ, length: 16 * MIB });
  }
  await untilStatus(work, ({ server }) => server?.counters.reads !== 0);
  server.signal("SIGINT");
  await server.said(/stopping: Got SIGINT/);
  server.signal("SIGTERM");
  assertEquals((await server.ended()).code, 128 + 15);
  assertEquals((await statusOf(work)).server, null);
});

Deno.test("virstor status shows a served pool from elsewhere", async () => {
  await using work = await makeSmallPool();
  const server = await serve(work, "--full-timeout", "90");
  using client = await BusyClient.open(server);
  await fill(client);
  const { pool, server: shown } = await statusOf(work);
  assertEquals(shown?.pid, server.pid);
  assertEquals(shown?.uri, server.uri);
  assertEquals(shown?.clients.map(({ exportName }) => exportName), ["demo"]);
  assertEquals(shown?.counters.writes, COMPONENT_CHUNKS);
  assertEquals(pool.freeChunks, 0);
  assertEquals(pool.components.map(({ used }) => used), [COMPONENT_CHUNKS]);
  assertEquals(pool.warnings.length > 0, true);
  const text = await work.succeed(["status", "demo"]);
  assertMatch(text, /\nState: +served\n/);
  assertMatch(text, /\nClients: +1 connected \(1 since the start\)\n/);
  assertMatch(text, /\nWhen full: +writes wait, at most 1 min 30 s\n/);
  assertMatch(text, /\nWarning: /);
  assertMatch(
    await work.succeed(["status"]),
    /\ndemo +warning +served +64 MiB /,
  );
  const [listed] = JSON.parse(await work.succeed(["list", "--json"]));
  assertEquals([listed.state, listed.uri], ["served", server.uri]);
});

Deno.test("virstor add lets a delayed write go on", async () => {
  await using work = await makeSmallPool();
  const server = await serve(work);
  using client = await BusyClient.open(server);
  await fill(client);
  const late = client.write(10 * CHUNK, pattern(BLOCK, 10));
  const { pool } = await untilDelayed(work);
  assertEquals(pool.delayed.bytes, BLOCK);
  const text = await work.succeed(["status", "demo"]);
  assertMatch(text, /\nDelayed writes: +1 \(4 KiB of 64 MiB\), the oldest /);
  // Everything that needs no new chunk goes on.
  assertEquals((await client.write(0, pattern(CHUNK, 20))).errno, 0);
  assertEquals((await client.read(0, CHUNK)).payload, pattern(CHUNK, 20));
  assertEquals((await client.flush()).errno, 0);
  await assertSound(work);
  assertEquals(
    await work.succeed(["add", "-v", "--create", "1M", "demo", "b"]),
    'Added 1 component to pool "demo"\n' +
      `1: ${work.path("b")}, 1 MiB, 6 chunks\n`,
  );
  assertEquals((await late).errno, 0);
  assertEquals(
    (await client.read(10 * CHUNK, BLOCK)).payload,
    pattern(BLOCK, 10),
  );
  assertMatch(server.stderr, / full: .*\n(.*\n)*.* resumed: /);
  assertEquals((await statusOf(work)).pool.delayed.count, 0);
  assertEquals((await server.stop()).code, 0);
  // The registry knows of the new component: no command has to name its place.
  assertEquals((await statusOf(work)).pool.components.length, 2);
  await assertSound(work);
});

Deno.test("a discard lets a delayed write go on", async () => {
  await using work = await makeSmallPool();
  const server = await serve(work);
  using client = await BusyClient.open(server);
  await fill(client);
  const late = client.write(10 * CHUNK, pattern(BLOCK, 10));
  await untilDelayed(work);
  assertEquals((await client.trim(CHUNK, CHUNK)).errno, 0);
  assertEquals((await late).errno, 0);
  assertEquals(
    (await client.read(CHUNK, CHUNK)).payload,
    new Uint8Array(CHUNK),
  );
  assertMatch(server.stderr, / resumed: /);
  await assertSound(work);
});

Deno.test("virstor serve --on-full error fails writes at once", async () => {
  await using work = await makeSmallPool();
  const server = await serve(work, "--on-full", "error");
  using client = await BusyClient.open(server);
  await fill(client);
  const reply = await client.write(10 * CHUNK, pattern(BLOCK, 10));
  assertEquals(reply.errno, NBD.ENOSPC);
});

Deno.test("virstor serve --full-timeout fails writes after it", async () => {
  await using work = await makeSmallPool();
  const server = await serve(work, "--full-timeout", "0.3");
  using client = await BusyClient.open(server);
  await fill(client);
  const begin = performance.now();
  const reply = await client.write(10 * CHUNK, pattern(BLOCK, 10));
  assertEquals(reply.errno, NBD.ENOSPC);
  assertEquals(performance.now() - begin >= 250, true);
  assertEquals((await statusOf(work)).pool.delayed.timedOut, 1);
});

Deno.test("virstor stop refuses a pool with clients, -f does not", async () => {
  await using work = await makeSmallPool();
  const server = await serve(work);
  using client = await BusyClient.open(server);
  await fill(client);
  const late = client.write(10 * CHUNK, pattern(BLOCK, 10));
  await untilDelayed(work);
  assertEquals(await work.run(["stop", "demo"]), {
    code: 8,
    stdout: "",
    stderr: 'virstor: Cannot stop pool "demo": 1 client is connected; ' +
      "disconnect, or use -f\n",
  });
  assertEquals(
    await work.succeed(["destroy", "-fv", "demo"]),
    'Stopped pool "demo"\n',
  );
  assertEquals((await late).errno, NBD.ESHUTDOWN);
  await client.gone();
  assertEquals((await server.ended()).code, 0);
  assertEquals((await statusOf(work)).server, null);
  await assertSound(work);
  // It can be served again at once, and nothing is lost.
  const again = await serve(work);
  using reader = await BusyClient.open(again);
  assertEquals((await reader.read(CHUNK, CHUNK)).payload, pattern(CHUNK, 1));
});

Deno.test("virstor stop of an idle pool needs no force", async () => {
  await using work = await makeSmallPool();
  const server = await serve(work);
  assertEquals(await work.succeed(["stop", "demo"]), "");
  assertEquals((await server.ended()).code, 0);
});

Deno.test("virstor serve writes what FreeBSD takes", async () => {
  await using work = await makeSmallPool("freebsd");
  const server = await serve(work);
  {
    using client = await BusyClient.open(server);
    assertEquals(client.size, 64 * MIB);
    await fill(client, 5);
    const late = client.write(10 * CHUNK, pattern(BLOCK, 10));
    await untilDelayed(work);
    await work.succeed(["add", "--create", "1M", "demo", "b"]);
    assertEquals((await late).errno, 0);
  }
  // The server may not have noticed yet that the client has left.
  await eventually(
    "the pool is stopped",
    async () => (await work.run(["stop", "demo"])).code === 0,
  );
  assertFreebsd([work.path("a"), work.path("b")]);
});

Deno.test("virstor refuses a pool in use, and names the holder", async () => {
  await using work = await makeSmallPool();
  const server = await serve(work);
  const served = await work.run(["serve", "demo"]);
  assertEquals(served, {
    code: 8,
    stdout: "",
    stderr: `virstor: Cannot serve pool "demo": process ${server.pid} ` +
      `serves it already, on nbd://localhost:${server.port}/demo\n`,
  });
  // A command that does not know of the control socket meets the lock.
  const env = { VIRSTOR_STATE_DIR: work.path("other-state") };
  const attempts = [
    ["serve", "--listen", "127.0.0.1:0", "demo"],
    ["status", "demo"],
    ["check", "demo"],
    ["add", "--create", "1M", "demo", "b"],
    ["label", "-f", "-s", "64M", "-m", "128K", "new", "a"],
    ["clear", "a"],
  ];
  await work.succeed(["taste", "a"], { env });
  for (const args of attempts) {
    const { code, stderr } = await work.run(args, { env });
    assertEquals(code, 8, `${args}: ${stderr}`);
    assertStringIncludes(stderr, `in use by process ${server.pid} (virstor`);
    assertEquals(stderr.split("\n").length, 2, stderr);
  }
  await assertSound(work);
});

Deno.test("virstor add to a served pool is refused as to a stopped one", async () => {
  await using work = await makeSmallPool();
  await serve(work);
  await work.makeFile("small", 4096);
  const live = await work.run(["add", "demo", "small"]);
  assertEquals(live.code, 9);
  const taken = await work.run(["add", "demo", "a"]);
  assertEquals(taken.code, 4);
  await work.succeed(["stop", "demo"]);
  assertEquals(await work.run(["add", "demo", "small"]), live);
  assertEquals(await work.run(["add", "demo", "a"]), taken);
});

Deno.test("virstor serve replaces what a killed server left", async () => {
  await using work = await makeSmallPool();
  const socket = ["--socket", "nbd.sock"];
  const killed = await work.serve(["serve", ...socket, "demo"]);
  await killed.kill();
  await Deno.stat(work.path("state/control/demo.sock"));
  await Deno.stat(work.path("nbd.sock"));
  assertEquals((await statusOf(work)).server, null);
  assertEquals((await work.run(["stop", "demo"])).code, 3);
  const server = await work.serve(["serve", ...socket, "demo"]);
  assertEquals((await statusOf(work)).server?.pid, server.pid);
  using client = await BusyClient.open({ path: work.path("nbd.sock") });
  assertEquals(client.size, 64 * MIB);
});

Deno.test("virstor serve --socket listens on a Unix socket", async () => {
  await using work = await makeSmallPool();
  const server = await work.serve(["serve", "--socket", "my nbd", "demo"]);
  assertEquals(
    server.uri,
    `nbd+unix:///demo?socket=${work.path("my%20nbd")}`,
  );
  using client = await BusyClient.open({ path: work.path("my nbd") });
  await fill(client, 1);
  assertMatch(server.stderr, / connected: 1 \(unix\): /);
  assertEquals((await server.stop()).code, 0);
  const names = Array.from(Deno.readDirSync(work.directory));
  assertEquals(names.map(({ name }) => name).sort(), ["a", "state"]);
});

Deno.test("virstor serve refuses an address that is taken", async () => {
  await using work = await makeSmallPool();
  await work.succeed(
    ["label", "-s", "64M", "-m", "128K", "--create", "1M", "other", "b"],
  );
  await work.makeFile("file", 1);
  const server = await serve(work);
  const where = `127.0.0.1:${server.port}`;
  assertEquals(await work.run(["serve", "--listen", where, "other"]), {
    code: 8,
    stdout: "",
    stderr: `virstor: Cannot listen on ${where}: the port is in use; ` +
      "choose another with --listen HOST:PORT\n",
  });
  const onFile = await work.run(["serve", "--socket", "file", "other"]);
  assertEquals({ code: onFile.code, stderr: onFile.stderr }, {
    code: 4,
    stderr: 'virstor: Cannot listen on "file": a file that is no socket ' +
      "exists there, use another path\n",
  });
  await server.stop();
  await work.serve(["serve", "--socket", "nbd.sock", "demo"]);
  const taken = await work.run(["serve", "--socket", "nbd.sock", "other"]);
  assertEquals({ code: taken.code, stderr: taken.stderr }, {
    code: 8,
    stderr:
      'virstor: Cannot listen on "nbd.sock": another server listens there ' +
      "already\n",
  });
  // What was refused holds no lock.
  assertEquals(
    await work.succeed(["check", "other"]),
    'Pool "other" is sound\n',
  );
});

Deno.test("virstor serve --read-only changes nothing", async () => {
  await using work = await makeSmallPool();
  const before = await Deno.readFile(work.path("a"));
  const server = await serve(work, "--read-only");
  using client = await BusyClient.open(server);
  assertEquals((await client.write(0, pattern(CHUNK, 1))).errno, 1);
  assertEquals(
    (await client.read(0, CHUNK)).payload,
    new Uint8Array(CHUNK),
  );
  assertEquals((await statusOf(work)).pool.readOnly, true);
  assertMatch(
    await work.succeed(["status", "demo"]),
    /\nState: +served, read-only\n/,
  );
  assertEquals(
    (await work.run(["add", "--create", "1M", "demo", "b"])).code,
    6,
  );
  assertEquals((await server.stop()).code, 0);
  assertEquals(await Deno.readFile(work.path("a")), before);
});

Deno.test("virstor serve --component finds what has moved", async () => {
  await using work = await makeSmallPool();
  await work.succeed(["add", "--create", "1M", "demo", "b"]);
  // Beside the other one it would be found.
  await Deno.mkdir(work.path("new"));
  await Deno.rename(work.path("b"), work.path("new/moved"));
  assertEquals((await work.run(["serve", "demo"])).code, 3);
  const server = await serve(work, "--component", "new/moved");
  await server.stop();
  // And it is remembered.
  const { pool } = await statusOf(work);
  assertEquals(
    pool.components.map(({ path }) => path),
    [work.path("a"), work.path("new/moved")],
  );
});

for (const format of ["native", "freebsd"]) {
  Deno.test(`virstor check finds damage of a ${format} pool`, async () => {
    await using work = await makeSmallPool(format);
    const first = await serve(work);
    {
      using client = await BusyClient.open(first);
      await fill(client, 2);
    }
    await first.stop();
    const sound = await Deno.readFile(work.path("a"));
    for (const isServed of [false, true]) {
      await Deno.writeFile(work.path("a"), sound);
      if (isServed) await serve(work);
      await damageMap(work.path("a"), format);
      const { code, stdout } = await work.run(["check", "demo"]);
      assertEquals(code, 2, stdout);
      assertMatch(stdout, /^Damage: \/(.*\n)+Pool "demo" is damaged\n$/);
      const json = JSON.parse(
        (await work.run(["check", "--json", "demo"])).stdout,
      );
      assertEquals([json.name, json.sound], ["demo", false]);
      assertEquals(json.findings[0].severity, "damage");
      assertMatch(json.findings[0].kind, /^[a-z-]+$/);
    }
  });
}

/** Spoils what says where chunks are. */
async function damageMap(path: string, format: string): Promise<void> {
  const bytes = await Deno.readFile(path);
  if (format === "freebsd") {
    // Virtual chunk 1 is to be where virtual chunk 0 is.
    bytes.copyWithin(8, 0, 8);
  } else {
    // All slots of the one page of the chunk table.
    const end = bytes.length - 2 * 65_536;
    bytes.fill(0xff, end - 3 * 4096, end);
  }
  await Deno.writeFile(path, bytes);
}

Deno.test("virstor serve logs watermarks and clients with the time", async () => {
  await using work = await makeSmallPool();
  const server = await serve(work, "--chunk-watermark", "3");
  {
    using client = await BusyClient.open(server);
    await fill(client, 4);
  }
  await server.said(/disconnected: 1 /);
  assertMatch(
    server.stderr,
    /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ connected: 1 \(127.0.0.1:\d+\): /m,
  );
  assertMatch(server.stderr, /Z watermark: /);
});

Deno.test("virstor serve warns of an address that others reach", async () => {
  await using work = await makeSmallPool();
  const server = await work.serve(["serve", "--listen", "0.0.0.0:0", "demo"]);
  assertMatch(
    server.stderr,
    /^virstor: Notice: Any client that reaches this address/m,
  );
  assertMatch(server.uri, /^nbd:\/\/localhost:\d+\/demo$/);
});
