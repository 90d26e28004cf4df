/**
 * How a stop treats what is under way, and what it says if not everything could
 * be made durable.
 *
 * @module
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { Buffer } from "node:buffer";
import { BusyClient, LOST, type Reply } from "../helpers/busy_client.ts";
import { NBD, NbdClient } from "../helpers/nbd_client.ts";
import { PATIENCE_MS } from "../helpers/patience.ts";
import { MIB, pattern } from "../helpers/scratch.ts";
import { type Server, Workspace } from "../helpers/virstor.ts";
import {
  assertSound,
  BLOCK,
  CHUNK,
  fill,
  makeSmallPool,
  serve,
  statusOf,
  untilStatus,
} from "./served.ts";

const KIB = 1024;
const GIB = 2 ** 30;

/** Pools of one component each, served by one process. */
async function serveSome(
  names: readonly string[],
): Promise<AsyncDisposable & { work: Workspace; server: Server }> {
  const work = await makeSmallPool();
  const sizes = ["-s", "64M", "-m", "128K", "--create", "1M"];
  for (const name of names.slice(1)) {
    await work.succeed(["label", ...sizes, name, `file-${name}`]);
  }
  const server = await work.serve(["serve", "--socket", "s", ...names]);
  return {
    work,
    server,
    [Symbol.asyncDispose]: () => work[Symbol.asyncDispose](),
  };
}

/** Takes so much away under a pool that the next flush fails. */
async function fail(
  work: Workspace,
  pool: string,
  file: string,
): Promise<void> {
  const address = { path: work.path("s") };
  using client = await BusyClient.open(address, pool);
  assertEquals((await client.write(0, pattern(BLOCK, 1))).errno, 0);
  await Deno.truncate(work.path(file), 500 * KIB);
  assertEquals((await client.flush()).errno, NBD.EIO);
  await client.disconnect();
}

/** What the log says of a pool that has failed. */
function told(pool: string, file: string): RegExp {
  return new RegExp(
    `virstor: Stopped pool "${pool}", but not everything could be made ` +
      `durable: .*${file}.*; look at the disk below, then run "virstor check"\n`,
  );
}

Deno.test("virstor stop of a pool that has failed says so, and serve, too", async () => {
  await using some = await serveSome(["demo"]);
  const { work, server } = some;
  await fail(work, "demo", "a");
  const { code, stderr } = await work.run(["stop", "demo"]);
  assertEquals(code, 6, stderr);
  assertMatch(stderr, told("demo", "a"));
  const end = await server.ended();
  assertEquals(end.code, 6);
  assertEquals(end.stderr.match(told("demo", "a"))?.length, 1);
});

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  Deno.test(`virstor serve says after ${signal} that a pool has failed`, async () => {
    await using some = await serveSome(["demo"]);
    const { work, server } = some;
    await fail(work, "demo", "a");
    server.signal(signal);
    const { code, stderr } = await server.ended();
    assertEquals(code, 6);
    assertMatch(stderr, told("demo", "a"));
  });
}

Deno.test("virstor serve says which of several pools have failed", async () => {
  await using some = await serveSome(["demo", "good", "bad"]);
  const { work, server } = some;
  await fail(work, "demo", "a");
  await fail(work, "bad", "file-bad");
  server.signal("SIGTERM");
  const { code, stderr } = await server.ended();
  assertEquals(code, 6);
  assertMatch(stderr, told("demo", "a"));
  assertMatch(stderr, told("bad", "file-bad"));
  assert(!stderr.includes('Stopped pool "good"'), stderr);
  assertEquals((await work.run(["check", "good"])).code, 0);
});

Deno.test("virstor stop tells of each of several pools whether it has failed", async () => {
  await using some = await serveSome(["demo", "good", "last"]);
  const { work, server } = some;
  await fail(work, "demo", "a");
  const stopped = await work.run(["stop", "-v", "demo", "good", "none"]);
  assertEquals(stopped.code, 6);
  assertMatch(stopped.stderr, told("demo", "a"));
  assertMatch(stopped.stderr, /Cannot stop pool "none": no process serves it/);
  assertEquals(stopped.stdout, 'Stopped pool "good"\n');
  await work.succeed(["stop", "last"]);
  assertEquals((await server.ended()).code, 6);
});

Deno.test("virstor stop fails what waits for space, and does not wait for it", async () => {
  await using work = await makeSmallPool();
  const server = await serve(work, "--grace", `${2 * PATIENCE_MS / 1000}`);
  const clients = [
    await BusyClient.open(server),
    await BusyClient.open(server),
  ];
  const [client] = clients;
  assert(client !== undefined);
  await fill(client);
  const waiting = clients.flatMap((client, i) => [
    client.write((30 + i) * CHUNK, pattern(BLOCK, 2)),
    client.write((40 + i) * CHUNK - 10, pattern(BLOCK, 2)),
  ]);
  await untilStatus(work, ({ pool }) => (pool.delayed?.count ?? 0) >= 4);
  const begin = performance.now();
  await work.succeed(["stop", "-f", "demo"]);
  assert(performance.now() - begin < PATIENCE_MS);
  for (const { errno } of await Promise.all(waiting)) {
    assertEquals(errno, NBD.ESHUTDOWN);
  }
  assertEquals((await server.ended()).code, 0);
  for (const client of clients) client[Symbol.dispose]();
  await assertSound(work);
});

for (const dialect of ["simple", "structured", "extended"] as const) {
  Deno.test(`a stop finishes a long READ whose reply is under way (${dialect})`, async () => {
    await using work = await Workspace.create();
    const sizes = ["-s", "64M", "-m", "128K", "--create", "40M"];
    await work.succeed(["label", ...sizes, "demo", "a"]);
    const server = await serve(work, "--grace", "100");
    using client = await NbdClient.open(server, "demo", dialect);
    const content = pattern(24 * MIB, 3);
    await client.write(0, content);
    // Far more than any socket holds, and unread for now.
    const read = { command: NBD.CMD_READ, length: content.length };
    await client.sendAll([read, read]);
    await untilStatus(work, ({ server }) => server?.counters.bytesRead !== 0);
    server.signal("SIGTERM");
    await server.said(/ stopping: /);
    await new Promise((done) => setTimeout(done, 500));
    // It can be asked how it does as long as it is not done.
    assertEquals((await statusOf(work)).server?.clients.length, 1);
    const first = await client.receive();
    assertEquals(first.errno, 0);
    assertEquals(Buffer.compare(first.payload, content), 0);
    const { errno } = await client.receive();
    assert(errno === 0 || errno === NBD.ESHUTDOWN, `errno ${errno}`);
    assertEquals(await client.receiveEnd(), 0);
    assertEquals((await server.ended()).code, 0);
    await assertSound(work);
  });
}

/** Sends one kind of request again and again; tells which errors came. */
async function keepOn(
  send: (round: number) => Promise<Reply>,
): Promise<number[]> {
  const errors = new Set<number>();
  const loops = Array.from({ length: 8 }, async (_, i) => {
    for (let round = 0; errors.size === 0; round++) {
      const { errno } = await send(8 * round + i);
      if (errno !== 0) errors.add(errno);
    }
  });
  await Promise.all(loops);
  return [...errors];
}

for (const ms of [0, 10, 30]) {
  Deno.test(`a stop amid requests of all kinds answers none with an error of the disk (${ms} ms)`, async () => {
    await using work = await Workspace.create();
    const sizes = ["-s", "16G", "-m", "64K", "--create", "17G"];
    await work.succeed(["label", ...sizes, "demo", "a"]);
    const server = await serve(work);
    const open = () => BusyClient.open(server);
    const clients = await Promise.all([open(), open(), open(), open(), open()]);
    const [first, ...others] = clients;
    assert(first !== undefined);
    // Enough chunks that to unmap them takes many turns.
    const mapped = Array.from(
      { length: 16 },
      (_, i) => first.writeZeroes(i * GIB, GIB, NBD.CMD_FLAG_NO_HOLE),
    );
    for (const { errno } of await Promise.all(mapped)) assertEquals(errno, 0);
    const chunk = 64 * KIB;
    const kinds: ((client: BusyClient, n: number) => Promise<Reply>)[] = [
      (client, n) => client.write((n % 60_000) * chunk, pattern(64, n)),
      (client, n) => client.read((n % 60_000) * chunk, chunk),
      (client) => client.flush(),
      (client, n) => client.trim((n % 30_000) * chunk, 10 * chunk),
    ];
    const working = others.map((client, i) =>
      keepOn((n) => kinds[i]?.(client, n) ?? client.flush())
    );
    const trims = Array.from(
      { length: 16 },
      (_, i) => first.trim(i * GIB, GIB),
    );
    await new Promise((done) => setTimeout(done, ms));
    server.signal("SIGTERM");
    const { code, stderr } = await server.ended();
    assertEquals(code, 0, stderr);
    const errors = [
      ...(await Promise.all(working)).flat(),
      ...(await Promise.all(trims)).map(({ errno }) => errno),
    ].filter((errno) => errno !== 0 && errno !== LOST);
    assertEquals(new Set([...errors, NBD.ESHUTDOWN]), new Set([NBD.ESHUTDOWN]));
    for (const client of clients) client[Symbol.dispose]();
    await assertSound(work);
  });
}
