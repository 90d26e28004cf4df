/**
 * Several pools in one process: each is found, asked and stopped by its name.
 *
 * @module
 */
import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { BusyClient, LOST } from "../helpers/busy_client.ts";
import { NBD, NbdClient } from "../helpers/nbd_client.ts";
import { pattern } from "../helpers/scratch.ts";
import type { Server, Workspace } from "../helpers/virstor.ts";
import { CHUNK, makeSmallPool } from "./served.ts";

/** A second pool, beside "demo". */
async function makeTwoPools(): Promise<Workspace> {
  const work = await makeSmallPool();
  const sizes = ["-s", "32M", "-m", "128K", "--create", "1M"];
  await work.succeed(["label", ...sizes, "other", "b"]);
  return work;
}

function serveBoth(work: Workspace, ...options: string[]): Promise<Server> {
  const args = ["--socket", "nbd.sock", ...options, "demo", "other"];
  return work.serve(["serve", ...args]);
}

/** The state of each pool, by name. */
async function statesOf(work: Workspace): Promise<unknown[]> {
  const listed: { name: string; state: string }[] = JSON.parse(
    await work.succeed(["list", "--json"]),
  );
  return listed.map(({ name, state }) => [name, state]);
}

Deno.test("virstor serve A B serves each under its name", async () => {
  await using work = await makeTwoPools();
  const server = await serveBoth(work);
  const address = { path: work.path("nbd.sock") };
  assertEquals(
    server.stdout,
    `nbd+unix:///demo?socket=${address.path}\n` +
      `nbd+unix:///other?socket=${address.path}\n`,
  );
  using demo = await BusyClient.open(address, "demo");
  using other = await BusyClient.open(address, "other");
  using first = await BusyClient.open(address);
  assertEquals((await demo.write(0, pattern(CHUNK, 1))).errno, 0);
  assertEquals((await other.write(0, pattern(CHUNK, 2))).errno, 0);
  assertEquals((await first.read(0, CHUNK)).payload, pattern(CHUNK, 1));
  const [a, b] = JSON.parse(
    await work.succeed(["status", "--json", "demo", "other"]),
  );
  assertEquals([a.server.pid, b.server.pid], [server.pid, server.pid]);
  assertEquals([a.server.clients.length, b.server.clients.length], [2, 1]);
  assertEquals([a.pool.usedChunks, b.pool.usedChunks], [1, 1]);
  assertEquals(b.server.uri, `nbd+unix:///other?socket=${address.path}`);
  assertMatch(
    server.stderr,
    /Z connected: pool "other": 2 \(unix\): Uses export "other" .*simple replies\n/,
  );
});

Deno.test("virstor stop of one of several leaves the others alone", async () => {
  await using work = await makeTwoPools();
  const server = await serveBoth(work);
  const address = { path: work.path("nbd.sock") };
  using demo = await BusyClient.open(address, "demo");
  using other = await BusyClient.open(address, "other");
  assertEquals((await demo.write(0, pattern(CHUNK, 1))).errno, 0);
  assertEquals((await other.write(0, pattern(CHUNK, 2))).errno, 0);
  assertEquals((await work.run(["stop", "demo"])).code, 8);
  await work.succeed(["stop", "-f", "demo"]);
  await demo.gone();
  assertEquals(await statesOf(work), [["demo", "stopped"], [
    "other",
    "served",
  ]]);
  assertEquals((await other.read(0, CHUNK)).payload, pattern(CHUNK, 2));
  assertMatch(server.stderr, /stopping: pool "demo": Asked to stop\n/);
  assertMatch(server.stderr, /disconnected: .*: pool "demo" stops\n/);
  // The default must not become another disk than it was.
  for (const name of ["", "demo"]) {
    await assertRejects(
      () => BusyClient.open(address, name),
      Error,
      'Export "demo" is not served any more',
    );
  }
  // Another process can have it.
  const again = await work.serve(["serve", "--socket", "2.sock", "demo"]);
  using reader = await BusyClient.open({ path: work.path("2.sock") });
  assertEquals((await reader.read(0, CHUNK)).payload, pattern(CHUNK, 1));
  assertEquals((await again.stop()).code, 0);
  // The last one takes the process with it.
  await work.succeed(["stop", "-f", "other"]);
  assertEquals((await server.ended()).code, 0);
});

Deno.test("virstor stop -f of one of several under load breaks nothing", async () => {
  await using work = await makeTwoPools();
  const server = await serveBoth(work);
  const address = { path: work.path("nbd.sock") };
  using demo = await BusyClient.open(address, "demo");
  using other = await BusyClient.open(address, "other");
  const load = async (client: BusyClient): Promise<number> => {
    for (let round = 0;; round++) {
      const replies = await Promise.all(
        Array.from({ length: 16 }, (_, index) => {
          const at = (index % 4) * CHUNK;
          if (index % 3 === 0) return client.read(at, CHUNK);
          if (index % 5 === 0) return client.trim(at, CHUNK);
          return client.write(at, pattern(CHUNK, round));
        }),
      );
      const failed = replies.find(({ errno }) => errno !== 0);
      if (failed !== undefined) return failed.errno;
    }
  };
  const loads = [load(demo), load(other)];
  await work.succeed(["stop", "-f", "demo"]);
  const errno = await loads[0] ?? 0;
  assertEquals([NBD.ESHUTDOWN, LOST].includes(errno), true, `${errno}`);
  assertEquals((await other.write(0, pattern(CHUNK, 2))).errno, 0);
  assertEquals((await server.stop()).code, 0);
  await loads[1];
  for (const name of ["demo", "other"]) {
    assertEquals(
      await work.succeed(["check", name]),
      `Pool "${name}" is sound\n`,
    );
  }
});

Deno.test("virstor stop of a pool that is not the first takes its export away", async () => {
  await using work = await makeTwoPools();
  await serveBoth(work);
  await work.succeed(["stop", "other"]);
  using client = await NbdClient.connect({ path: work.path("nbd.sock") });
  await client.greet();
  assertEquals(await client.list(), ["demo"]);
});

Deno.test("virstor serve of several pools opens all of them or none", async () => {
  await using work = await makeTwoPools();
  const { code, stdout, stderr } = await work.run(
    ["serve", "--socket", "nbd.sock", "demo", "absent"],
  );
  assertEquals([code, stdout], [3, ""]);
  assertMatch(stderr, /^virstor: Cannot find pool "absent": .*\n$/);
  assertEquals(await statesOf(work), [["demo", "stopped"], [
    "other",
    "stopped",
  ]]);
  assertEquals(
    await work.succeed(["check", "demo"]),
    'Pool "demo" is sound\n',
  );
});

Deno.test("virstor serve of several pools closes all at a signal", async () => {
  await using work = await makeTwoPools();
  const server = await serveBoth(work);
  const { code, stderr } = await server.stop();
  assertEquals(code, 0);
  assertMatch(stderr, /Z stopping: Got SIGINT/);
  for (const name of ["demo", "other"]) {
    assertEquals(
      await work.succeed(["check", name]),
      `Pool "${name}" is sound\n`,
    );
  }
});

Deno.test("virstor serve of several pools gives each its components", async () => {
  await using work = await makeTwoPools();
  const given: string[] = [];
  for (const file of ["a", "b"]) {
    await Deno.rename(work.path(file), work.path(`${file}.moved`));
    given.push("--component", `${file}.moved`);
  }
  const server = await serveBoth(work, ...given);
  assertEquals(server.stdout.match(/nbd\+unix/g)?.length, 2);
  await server.stop();
  const args = ["serve", "--socket", "nbd.sock", "demo", "third"];
  const { code, stderr } = await work.run([...args, ...given]);
  assertEquals(code, 9);
  assertMatch(
    stderr,
    /^virstor: Cannot use component ".*b.moved": it belongs to pool "other", which the command does not name; name the pool, too, or leave the component out\n$/,
  );
});
