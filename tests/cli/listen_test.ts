/**
 * Where `virstor serve` listens, and which clients may connect.
 *
 * @module
 */
import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import { AllowList } from "../../cli/listen/allow_list.ts";
import { UsageError } from "../../cli/terminal/usage_error.ts";
import { BusyClient } from "../helpers/busy_client.ts";
import { pattern } from "../helpers/scratch.ts";
import { BLOCK, makeSmallPool, serve, statusOf } from "./served.ts";

/** The port of a URI. */
function portOf(uri = ""): number {
  return Number(new URL(uri).port);
}

/** Whether the server ends a connection at once, without a greeting. */
async function isShutOut(hostname: string, port: number): Promise<boolean> {
  using connection = await Deno.connect({ hostname, port });
  try {
    return await connection.read(new Uint8Array(8)) === null;
  } catch (error) {
    if (error instanceof Deno.errors.ConnectionReset) return true;
    throw error;
  }
}

Deno.test("virstor serve listens on all addresses at once", async () => {
  await using work = await makeSmallPool();
  const server = await work.serve([
    "serve",
    ...["--listen", "127.0.0.1:0", "--socket", "1.sock"],
    ...["--listen", "[::1]:0", "--socket", "2.sock"],
    "demo",
  ]);
  const uris = server.stdout.trimEnd().split("\n");
  assertMatch(uris[0] ?? "", /^nbd:\/\/localhost:\d+\/demo$/);
  assertMatch(uris[1] ?? "", /^nbd:\/\/\[::1\]:\d+\/demo$/);
  assertEquals(uris.slice(2), [
    `nbd+unix:///demo?socket=${work.path("1.sock")}`,
    `nbd+unix:///demo?socket=${work.path("2.sock")}`,
  ]);
  assertEquals((await statusOf(work)).server?.uris, uris);
  const text = await work.succeed(["status", "demo"]);
  assertEquals(text.match(/^URI: /gm)?.length, 4);
  // What one writes all others read.
  {
    using client = await BusyClient.open({ port: portOf(uris[0]) });
    assertEquals((await client.write(0, pattern(BLOCK, 1))).errno, 0);
  }
  for (const name of ["1.sock", "2.sock"]) {
    using client = await BusyClient.open({ path: work.path(name) });
    assertEquals((await client.read(0, BLOCK)).payload, pattern(BLOCK, 1));
  }
  assertEquals(await isShutOut("::1", portOf(uris[1])), false);
  assertEquals((await server.stop()).code, 0);
  assertEquals(
    Array.from(Deno.readDirSync(work.directory), ({ name }) => name).sort(),
    ["a", "state"],
  );
});

Deno.test("virstor serve opens no address if one cannot be had", async () => {
  await using work = await makeSmallPool();
  await work.makeFile("file", 1);
  const { code } = await work.run(
    ["serve", "--socket", "1.sock", "--socket", "file", "demo"],
  );
  assertEquals(code, 4);
  assertEquals(
    Array.from(Deno.readDirSync(work.directory), ({ name }) => name).sort(),
    ["a", "file", "state"],
  );
});

Deno.test("virstor serve --socket-mode sets the permissions", async () => {
  await using work = await makeSmallPool();
  await work.serve(
    ["serve", "--socket", "nbd.sock", "--socket-mode", "0660", "demo"],
  );
  const { mode } = await Deno.stat(work.path("nbd.sock"));
  assertEquals((mode ?? 0) & 0o777, 0o660);
});

Deno.test({
  name: "virstor serve --socket-owner gives the socket to another",
  // Only root may give files away.
  ignore: Deno.uid() !== 0,
  async fn() {
    await using work = await makeSmallPool();
    const args = ["serve", "--socket", "nbd.sock", "--socket-mode", "600"];
    await work.serve([...args, "--socket-owner", "daemon:12345", "demo"]);
    const { uid, gid, mode } = await Deno.stat(work.path("nbd.sock"));
    assertEquals([uid, gid, (mode ?? 0) & 0o777], [1, 12_345, 0o600]);
  },
});

Deno.test("virstor serve --allow shuts others out, and counts them", async () => {
  await using work = await makeSmallPool();
  const options = ["--allow", "10.0.0.0/8", "--allow", "::1"];
  const server = await work.serve([
    "serve",
    ...["--listen", "127.0.0.1:0", "--listen", "[::1]:0", "--socket", "s"],
    ...options,
    "demo",
  ]);
  const uris = server.stdout.trimEnd().split("\n");
  assertEquals(await isShutOut("127.0.0.1", portOf(uris[0])), true);
  assertEquals(await isShutOut("127.0.0.1", portOf(uris[0])), true);
  assertEquals(await isShutOut("::1", portOf(uris[1])), false);
  // A Unix socket has permissions instead.
  using client = await BusyClient.open({ path: work.path("s") });
  assertEquals((await client.flush()).errno, 0);
  assertEquals((await statusOf(work)).server?.counters.connectionsRefused, 2);
  // The second came in the same second: it is counted, and not logged.
  assertEquals(server.stderr.match(/Z denied: 127.0.0.1 is in no/g)?.length, 1);
});

Deno.test("virstor serve --max-clients turns others away", async () => {
  await using work = await makeSmallPool();
  const server = await serve(work, "--max-clients", "1");
  {
    using _client = await BusyClient.open(server);
    assertEquals(await isShutOut("127.0.0.1", server.port), true);
    await server.said(
      /Z refused: 2 \(127.0.0.1:\d+\): There is 1 client already/,
    );
  }
  await server.said(/disconnected: 1 /);
  using again = await BusyClient.open(server);
  assertEquals((await again.flush()).errno, 0);
});

Deno.test("virstor serve --idle-timeout ends clients that do nothing", async () => {
  await using work = await makeSmallPool();
  const server = await serve(work, "--idle-timeout", "0.2");
  using _client = await BusyClient.open(server);
  await server.said(/disconnected: 1 .*: the client was idle for too long/);
});

Deno.test("AllowList knows networks of both families", () => {
  const list = new AllowList(["192.168.0.0/16", "fd00::/8", "1.2.3.4"]);
  const allows = (hostname: string): boolean =>
    list.allows({ transport: "tcp", hostname, port: 1 });
  const inside = ["192.168.255.1", "::ffff:192.168.0.1", "fd12::1%eth0"];
  assertEquals([...inside, "1.2.3.4"].map(allows), [true, true, true, true]);
  const outside = ["192.169.0.1", "::ffff:1.2.3.5", "fe80::1", "::1", ""];
  assertEquals(outside.map(allows), outside.map(() => false));
  assertEquals(list.allows({ transport: "unix", path: "" }), true);
  const all = new AllowList(["0.0.0.0/0"]);
  assertEquals(
    all.allows({ transport: "tcp", hostname: "9.9.9.9", port: 1 }),
    true,
  );
});

Deno.test("AllowList refuses what is no network", () => {
  for (const text of ["", "x", "10.0.0.0/33", "::1/129", "10.0.0.0/", "1/8"]) {
    assertThrows(() => new AllowList([text]), UsageError, `"${text}"`);
  }
});
