/**
 * Commands that overlap, on a real server with real clients: what a second
 * command, a stop or a smaller size does to what has begun.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { abandon } from "../../device/block/mod.ts";
import { pattern } from "../helpers/scratch.ts";
import { BusyClient, LOST } from "../helpers/busy_client.ts";
import { NBD } from "../helpers/nbd_client.ts";
import { withoutProgress, Workspace } from "../helpers/virstor.ts";
import {
  assertSound,
  CHUNK,
  serve,
  start,
  statusOf,
  untilStatus,
} from "../cli/served.ts";

/** Makes a pool "demo" of components of 24 MiB, of 128 KiB chunks. */
async function makePool(...names: string[]): Promise<Workspace> {
  const work = await Workspace.create();
  const sizes = ["-s", "256M", "-m", "128K", "--create", "24M"];
  await work.succeed(["label", ...sizes, "demo", ...names]);
  return work;
}

async function open(port: number, count: number): Promise<BusyClient[]> {
  return await Promise.all(
    Array.from({ length: count }, () => BusyClient.open({ port }, "demo")),
  );
}

Deno.test("two virstor remove --cancel at once keep the component and every acknowledged write, with clients on threads", async () => {
  await using work = await makePool("a", "b", "c");
  const server = await serve(work);
  const clients = await open(server.port, 3);
  const chunks = 240;
  const seeds = new Map<number, number>();
  const write = async (client: BusyClient, v: number, seed: number) => {
    const reply = await client.write(v * CHUNK, pattern(CHUNK, seed));
    assertEquals(reply.errno, 0);
    seeds.set(v, seed);
  };
  const [first] = clients;
  assert(first !== undefined);
  for (let v = 0; v < chunks; v++) await write(first, v, v);
  let isOver = false;
  const writing = clients.map(async (client, own) => {
    for (let i = own; !isOver; i += clients.length) {
      await write(client, i % chunks, 1000 + i % 5000);
    }
  });
  // What fails first is reported; a client that fails later is not in doubt.
  abandon(Promise.all(writing).then(() => {}));
  for (let round = 0; round < 2; round++) {
    // Takes 20 s: a busy machine has to find it moving.
    await work.succeed(["remove", "--detach", "--rate", "512K", "demo", "a"]);
    await untilStatus(work, ({ pool }) => pool.evacuation?.state === "moving");
    const cancel = () => work.run(["remove", "--cancel", "demo", "a"]);
    const ends = await Promise.all([cancel(), cancel()]);
    const codes = ends.map(({ code }) => code).sort();
    // The one that comes second finds that the component stays already.
    assertEquals(codes[0], 0, ends[0]?.stderr);
    assertEquals((await statusOf(work)).pool.evacuation, null);
  }
  isOver = true;
  await Promise.all(writing);
  const { pool } = await statusOf(work);
  assertEquals(pool.components.length, 3);
  for (const [v, seed] of seeds) {
    const { payload } = await first.read(v * CHUNK, CHUNK);
    assertEquals(payload, pattern(CHUNK, seed), `chunk ${v}`);
  }
  for (const client of clients) client[Symbol.dispose]();
  assertEquals((await server.stop()).code, 0);
  await assertSound(work);
});

for (
  const [threads, what] of [["0", "one client"], ["4", "two clients"]] as const
) {
  Deno.test(`virstor stop during discards of the whole disk by ${what} leaves a pool that opens, and fails none with EIO`, async () => {
    await using work = await Workspace.create();
    const sizes = ["-s", "512M", "-m", "4K", "--create", "600M"];
    await work.succeed(["label", ...sizes, "demo", "a"]);
    for (let round = 0; round < 3; round++) {
      const server = await serve(work, "--threads", threads);
      const clients = await open(server.port, threads === "0" ? 1 : 2);
      const [first] = clients;
      assert(first !== undefined);
      // Mapped, without data.
      const size = first.size;
      const mapped = await first.writeZeroes(0, size, NBD.CMD_FLAG_NO_HOLE);
      assertEquals(mapped.errno, 0);
      const trims = clients.flatMap((client) =>
        [0, 1].map(() => client.trim(0, size))
      );
      const stop = start(work, ["stop", "-f", "demo"]);
      for (const { errno } of await Promise.all(trims)) {
        assert([0, NBD.ESHUTDOWN, LOST].includes(errno), `error ${errno}`);
      }
      const { code, stderr } = await stop.ended();
      assertEquals([code, withoutProgress(stderr)], [0, ""]);
      const ended = await server.ended();
      assertEquals(ended.code, 0, ended.stderr);
      for (const client of clients) client[Symbol.dispose]();
      await assertSound(work);
    }
  });
}

Deno.test("virstor resize to a smaller size beside first writes of clients on threads leaves a pool that opens", async () => {
  await using work = await makePool("a");
  for (let round = 0; round < 3; round++) {
    const server = await serve(work);
    const clients = await open(server.port, 2);
    let isOver = false;
    const writing = clients.map(async (client, own) => {
      const half = client.size / 2;
      for (let i = own; !isOver; i += 2) {
        const offset = half + (i % 64) * CHUNK;
        const { errno } = await client.write(offset, pattern(CHUNK, i));
        if (errno !== 0) break;
        await client.trim(offset, CHUNK);
      }
    });
    let shrunk = 0;
    for (let i = 0; i < 4 && shrunk === 0; i++) {
      const { code } = await work.run(["resize", "--force", "demo", "128M"]);
      if (code === 0) shrunk++;
    }
    isOver = true;
    await Promise.all(writing);
    for (const client of clients) client[Symbol.dispose]();
    assertEquals((await server.stop()).code, 0);
    await assertSound(work);
    const again = await serve(work);
    await work.run(["resize", "demo", "256M"]);
    assertEquals((await again.stop()).code, 0);
  }
});
