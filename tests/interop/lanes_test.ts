/**
 * Goal: what many connections write at once is right when threads serve them
 * beside the event loop, also while the chunks under them go and come. Method:
 * real programs with several connections, to a pool that is changed meanwhile;
 * the server's log tells that threads were used.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import type { BusyClient } from "../helpers/busy_client.ts";
import { peerTest } from "../helpers/peers.ts";
import { firstDifference } from "../helpers/bytes.ts";
import { FORMATS } from "../helpers/scratch.ts";
import {
  CHUNK,
  MIB,
  peerSucceeds,
  ServedPool,
  stampedBytes,
} from "./served_pool.ts";

/** The second half of the disk, where chunks come and go, bytes. */
const LOOSE_START = 64 * MIB;
/** Chunks of it that are written and given back at a time. */
const LOOSE_CHUNKS = 40;
/** Connections of fio, each with a part of the first half. */
const JOBS = 4;

/** How many connections had a thread so far. */
function lanesOf({ server }: ServedPool): number {
  return server.stderr.split("on a thread of its own").length - 1;
}

/** One run of fio: writes all over four ranges, and verifies. */
function runFio(
  pool: ServedPool,
  seed: number,
  ...more: string[]
): Promise<string> {
  return peerSucceeds("fio", [
    ...["--name=verify", "--ioengine=nbd", `--uri=${pool.uri}`],
    ...[`--numjobs=${JOBS}`, "--size=6M", "--offset_increment=16M"],
    ...["--rw=randrw", "--bsrange=512-64k", "--iodepth=16"],
    ...["--verify=crc32c", "--verify_fatal=1", `--randseed=${seed}`],
    ...["--fsync=64", ...more],
  ], pool.work.directory);
}

/** Writes to chunks, reads them, gives them back, and reads them again. */
async function comeAndGo(client: BusyClient, seed: number): Promise<void> {
  const bytes = stampedBytes(CHUNK, seed);
  const chunks = Array.from({ length: LOOSE_CHUNKS }, (_, i) => i);
  const at = (chunk: number) => LOOSE_START + chunk * CHUNK;
  const errors = await Promise.all(
    chunks.map(async (i) => (await client.write(at(i), bytes)).errno),
  );
  assertEquals(errors.filter((errno) => errno !== 0), []);
  await assertChunks(client, bytes);
  // Every other one as a whole, and the middle of the rest.
  await Promise.all(
    chunks.map((i) =>
      i % 2 === 0
        ? client.trim(at(i), CHUNK)
        : client.writeZeroes(at(i) + 4096, CHUNK - 8192)
    ),
  );
  const holed = bytes.slice().fill(0, 4096, CHUNK - 4096);
  await assertChunks(client, new Uint8Array(CHUNK), holed);
  await client.trim(LOOSE_START, LOOSE_CHUNKS * CHUNK);
}

/** Fails unless all chunks hold what they should; even ones, and odd ones. */
async function assertChunks(
  client: BusyClient,
  even: Uint8Array,
  odd: Uint8Array = even,
): Promise<void> {
  const length = LOOSE_CHUNKS * CHUNK;
  const { errno, payload } = await client.read(LOOSE_START, length);
  assertEquals(errno, 0);
  for (let i = 0; i < LOOSE_CHUNKS; i++) {
    const wanted = i % 2 === 0 ? even : odd;
    const chunk = payload.subarray(i * CHUNK, (i + 1) * CHUNK);
    const wrong = firstDifference(wanted, chunk);
    assertEquals(wrong, -1, `byte ${wrong} of chunk ${i} is wrong`);
  }
}

/** Adds a component, and has the first one evacuated, while something runs. */
async function changeMembers(pool: ServedPool): Promise<void> {
  const [first = ""] = pool.paths;
  await pool.add("40M");
  await pool.work.succeed(["remove", "pool", first]);
  assertEquals((await pool.status()).pool.components.length, 3);
}

/** Runs fio again and again while the pool changes; returns the last seed. */
async function fioMeanwhile(pool: ServedPool): Promise<number> {
  // The first connection, so that those of fio get the threads.
  using client = await pool.connect();
  let seed = 1;
  await runFio(pool, seed);
  let isDone = false;
  const changes = changeMembers(pool).finally(() => isDone = true);
  const comings = (async () => {
    for (let i = 1; !isDone; i++) await comeAndGo(client, i);
  })();
  const runs = (async () => {
    do await runFio(pool, ++seed); while (!isDone);
  })();
  await Promise.all([changes, comings, runs]);
  await client.disconnect();
  return seed;
}

for (
  const { name, serve, least } of [
    { name: "on threads", serve: [], least: JOBS },
    { name: "without threads", serve: ["--threads", "0"], least: 0 },
  ]
) {
  peerTest(
    `fio verifies what it writes while chunks move and components leave, ${name}`,
    ["fio"],
    async () => {
      await using pool = await ServedPool.start({
        ...{ format: "native", components: 3, componentSize: "40M" },
        ...{ virtualSize: "128M", serve },
      });
      const seed = await fioMeanwhile(pool);
      const lanes = lanesOf(pool);
      assert(least === 0 ? lanes === 0 : lanes >= least, `${lanes} threads`);
      await pool.stopAndCheck();
      await pool.restart();
      await runFio(pool, seed, "--verify_only=1");
      await pool.stopAndCheck();
    },
  );
}

/** An ext4 file system with something in it. */
async function makeFileSystem(pool: ServedPool): Promise<string> {
  const content = pool.work.path("content");
  await Deno.mkdir(`${content}/deep`, { recursive: true });
  for (const size of [1, 5000, 3 * MIB, 20 * MIB]) {
    const bytes = stampedBytes(Math.ceil(size / 8) * 8, size);
    await Deno.writeFile(`${content}/deep/${size}`, bytes);
  }
  const image = pool.work.path("image");
  await peerSucceeds("mkfs.ext4", ["-q", "-F", "-d", content, image, "64M"]);
  return image;
}

async function assertSameBytes(one: string, other: string): Promise<void> {
  const [a, b] = [await Deno.readFile(one), await Deno.readFile(other)];
  const wrong = firstDifference(a, b);
  assertEquals([b.length, wrong], [a.length, -1]);
}

for (const format of FORMATS) {
  peerTest(
    `nbdcopy and qemu-img copy a file system over threads, in and out (${format})`,
    ["nbdcopy", "qemu-img", "mkfs.ext4", "e2fsck"],
    async () => {
      await using pool = await ServedPool.start({
        ...{ format, componentSize: "40M" },
      });
      const { work, uri } = pool;
      const image = await makeFileSystem(pool);
      const [out, again] = [work.path("out"), work.path("again")];
      const four = ["--connections=4", "--threads=4", "--requests=32"];
      // New chunks, and then the same ones: mostly on threads only then.
      for (let times = 0; times < 2; times++) {
        await peerSucceeds("nbdcopy", [...four, "--flush", image, uri]);
        await peerSucceeds("nbdcopy", [...four, uri, out]);
        await assertSameBytes(image, out);
      }
      await peerSucceeds("e2fsck", ["-fn", out]);
      assert(lanesOf(pool) >= 12, `${lanesOf(pool)} threads`);

      // qemu-img has one connection: another client is there first.
      using first = await pool.connect();
      const raw = ["-f", "raw", "-O", "raw"];
      const before = lanesOf(pool);
      await peerSucceeds("qemu-img", [
        ...["convert", "-n", "-W", "-m", "8", ...raw, image, uri],
      ]);
      await peerSucceeds("qemu-img", [
        ...["compare", "-f", "raw", "-F", "raw", image, uri],
      ]);
      await peerSucceeds("qemu-img", [
        ...["convert", "-W", "-m", "8", ...raw, uri, again],
      ]);
      await assertSameBytes(image, again);
      assert(lanesOf(pool) >= before + 3, `${lanesOf(pool)} threads`);
      await first.disconnect();
      await pool.stopAndCheck();
    },
  );
}
