/**
 * Goal: snapshots are what users of backup tools take them for. Method: the
 * programs of libnbd and qemu look at the exports of volumes and snapshots, and
 * make a chain of incremental backups that is compared with the disk.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { BusyClient } from "../helpers/busy_client.ts";
import { addSnapshots } from "../helpers/long_superblock.ts";
import { peerTest } from "../helpers/peers.ts";
import { randomOf } from "../helpers/small_pools.ts";
import {
  CHUNK,
  MIB,
  peerSucceeds,
  runPeer,
  ServedPool,
  stampedBytes,
} from "./served_pool.ts";

/** The URI of another export of the pool. */
function uriOf(pool: ServedPool, name: string): string {
  return pool.uri.replace("/pool?", `/${name}?`);
}

function connect(pool: ServedPool, name: string): Promise<BusyClient> {
  return BusyClient.open({ path: pool.socket }, name);
}

function startPool(): Promise<ServedPool> {
  return ServedPool.start({ format: "native", componentSize: "32M" });
}

interface Run {
  offset: number;
  length: number;
  type: number;
}

async function changedSince(
  pool: ServedPool,
  name: string,
  snapshot: string,
): Promise<Run[]> {
  const map = `--map=virstor:changed:${snapshot}`;
  const args = [map, "--json", uriOf(pool, name)];
  return JSON.parse(await peerSucceeds("nbdinfo", args));
}

/** Copies the ranges that have changed from an export into an image. */
async function copyChanged(
  pool: ServedPool,
  name: string,
  runs: readonly Run[],
  path: string,
): Promise<number> {
  using client = await connect(pool, name);
  using image = await Deno.open(path, { write: true });
  let copied = 0;
  for (const { offset, length, type } of runs) {
    if (type === 0) continue;
    for (let at = offset; at < offset + length; at += MIB) {
      const size = Math.min(MIB, offset + length - at);
      const { errno, payload } = await client.read(at, size);
      assertEquals(errno, 0);
      await image.seek(at, Deno.SeekMode.Start);
      for (let sent = 0; sent < size;) {
        sent += await image.write(payload.subarray(sent));
      }
      copied += size;
    }
  }
  await client.disconnect();
  return copied;
}

/** Writes, discards and zeroes here and there. */
async function disturb(
  pool: ServedPool,
  name: string,
  random: () => number,
): Promise<void> {
  const below = (end: number) => Math.floor(random() * end);
  using client = await connect(pool, name);
  for (let i = 0; i < 12; i++) {
    const at = 4096 * below(16 * MIB / 4096 - 64);
    const length = 4096 * (1 + below(63));
    const kind = below(4);
    const { errno } = kind === 0
      ? await client.trim(at, length)
      : kind === 1
      ? await client.writeZeroes(at, length)
      : await client.write(at, stampedBytes(length, below(1e9)));
    assertEquals(errno, 0);
  }
  await client.disconnect();
}

function compare(
  one: string,
  other: string,
): Promise<{ code: number; stdout: string }> {
  return runPeer("qemu-img", [
    ...["compare", "-f", "raw", "-F", "raw", one, other],
  ]);
}

peerTest(
  "nbdinfo --list finds volumes and snapshots with their contexts",
  ["nbdinfo"],
  async () => {
    await using pool = await startPool();
    const { work } = pool;
    await work.succeed(["volume", "create", "-s", "16M", "pool/v"]);
    await work.succeed(["snapshot", "pool/v@a"]);
    await work.succeed(["snapshot", "pool@a", "pool/v@b"]);
    const uri = uriOf(pool, "");
    const told = JSON.parse(
      await peerSucceeds("nbdinfo", ["--list", "--json", uri]),
    );
    const exports = told.exports.map((one: Record<string, unknown>) => [
      one["export-name"],
      one["is_read_only"],
      one["export-size"],
      (one["contexts"] as string[]).filter((name) => name.includes("changed")),
    ]);
    const [a, b] = ["virstor:changed:a", "virstor:changed:b"];
    assertEquals(exports, [
      ["pool", false, 64 * MIB, [a]],
      ["pool/v", false, 16 * MIB, [a, b]],
      ["pool@a", true, 64 * MIB, []],
      ["pool/v@a", true, 16 * MIB, []],
      ["pool/v@b", true, 16 * MIB, [a]],
    ]);
    await pool.stopAndCheck();
  },
);

peerTest(
  "nbdinfo --list ends soon on a server with 300 snapshots of one volume",
  ["nbdinfo"],
  async () => {
    await using pool = await startPool();
    await pool.stopAndCheck();
    addSnapshots(pool.paths, 300, 3);
    await pool.restart();
    const told = JSON.parse(
      await peerSucceeds("nbdinfo", ["--list", "--json", uriOf(pool, "")]),
    );
    const contexts = told.exports.map((one: { contexts: string[] }) =>
      one.contexts.filter((name) => name.startsWith("virstor:changed:"))
    );
    assertEquals(contexts.length, 301);
    const few = contexts.filter((all: string[]) => all.length <= 16);
    assertEquals(few.length, 301);
    assertEquals(contexts[0], ["virstor:changed:"]);
    // Those that a list leaves out are there.
    const [run] = await changedSince(pool, "pool", "ss7");
    assertEquals(run && plain(run), { offset: 0, length: 64 * MIB, type: 0 });
    await pool.stopAndCheck();
  },
);

peerTest(
  "nbdinfo --map=virstor:changed tells what was written since",
  ["nbdinfo"],
  async () => {
    await using pool = await startPool();
    using client = await connect(pool, "pool");
    for (const chunk of [0, 1, 2]) {
      await client.write(chunk * CHUNK, stampedBytes(CHUNK, 1));
    }
    await pool.work.succeed(["snapshot", "pool@a"]);
    const all = 64 * MIB;
    assertEquals((await changedSince(pool, "pool", "a")).map(plain), [
      { offset: 0, length: all, type: 0 },
    ]);
    await client.write(CHUNK, stampedBytes(8, 2));
    await client.trim(2 * CHUNK, CHUNK);
    await client.write(9 * CHUNK, stampedBytes(8, 2));
    const runs = (await changedSince(pool, "pool", "a")).map(plain);
    assertEquals(runs, [
      { offset: 0, length: CHUNK, type: 0 },
      { offset: CHUNK, length: 2 * CHUNK, type: 1 },
      { offset: 3 * CHUNK, length: 6 * CHUNK, type: 0 },
      { offset: 9 * CHUNK, length: CHUNK, type: 1 },
      { offset: 10 * CHUNK, length: all - 10 * CHUNK, type: 0 },
    ]);
    const ranges = JSON.parse(
      await pool.work.succeed(["diff", "--json", "pool@a"]),
    );
    assertEquals(
      ranges.map((one: Run) => [one.offset / CHUNK, one.length / CHUNK])
        .flatMap(([first, count]: number[]) =>
          Array.from({ length: count ?? 0 }, (_, i) => (first ?? 0) + i)
        ),
      [1, 2, 9],
    );
    await client.disconnect();
    await pool.stopAndCheck();
  },
);

function plain({ offset, length, type }: Run): Run {
  return { offset, length, type };
}

peerTest(
  "a chain of incremental backups is the disk, at each snapshot",
  ["nbdinfo", "qemu-img"],
  async () => {
    await using pool = await startPool();
    const { work } = pool;
    const random = randomOf(1);
    await work.succeed(["volume", "create", "-s", "16M", "pool/v"]);
    await disturb(pool, "pool/v", random);
    await work.succeed(["snapshot", "pool/v@0"]);
    const image = await work.makeFile("image", 16 * MIB);
    await peerSucceeds("qemu-img", [
      ...["convert", "-n", "-f", "raw", "-O", "raw"],
      ...[uriOf(pool, "pool/v@0"), image],
    ]);
    for (let step = 1; step <= 3; step++) {
      await disturb(pool, "pool/v", random);
      const name = `pool/v@${step}`;
      await work.succeed(["snapshot", name]);
      // What comes later is not in the backup.
      await disturb(pool, "pool/v", random);
      assertEquals((await compare(image, uriOf(pool, name))).code, 1);
      const runs = await changedSince(pool, name, String(step - 1));
      const copied = await copyChanged(pool, name, runs, image);
      assert(copied > 0 && copied < 16 * MIB, `${copied} bytes`);
      const { code, stdout } = await compare(image, uriOf(pool, name));
      assertEquals(code, 0, stdout);
      await work.succeed(["snapshot", "remove", `pool/v@${step - 1}`]);
      assertEquals((await compare(image, uriOf(pool, name))).code, 0);
    }
    await pool.stopAndCheck();
  },
);

peerTest(
  "qemu-img compare finds a snapshot the same as a copy of that time",
  ["qemu-img"],
  async () => {
    await using pool = await startPool();
    const { work } = pool;
    const random = randomOf(2);
    const copy = await work.makeFile("copy", 64 * MIB);
    await disturb(pool, "pool", random);
    await peerSucceeds("qemu-img", [
      ...["convert", "-n", "-f", "raw", "-O", "raw", pool.uri, copy],
    ]);
    await work.succeed(["snapshot", "pool@s"]);
    for (let round = 0; round < 3; round++) {
      await disturb(pool, "pool", random);
      assertEquals((await compare(copy, pool.uri)).code, 1);
      assertEquals((await compare(copy, uriOf(pool, "pool@s"))).code, 0);
    }
    await work.succeed(["clone", "pool@s", "pool/c"]);
    await work.succeed(["snapshot", "pool@t"]);
    assertEquals((await compare(copy, uriOf(pool, "pool/c"))).code, 0);
    await work.succeed(["rollback", "-r", "pool@s"]);
    assertEquals((await compare(copy, pool.uri)).code, 0);
    await disturb(pool, "pool", random);
    await work.succeed(["volume", "flatten", "pool/c"]);
    await work.succeed(["snapshot", "remove", "pool@s"]);
    assertEquals((await compare(copy, uriOf(pool, "pool/c"))).code, 0);
    await pool.stopAndCheck();
  },
);
