/**
 * Goal: what qemu's programs do to an image they do to a pool. Method: qemu-img
 * and qemu-io as users run them. qemu has no option to do without structured
 * replies; the simple dialect is for libnbd and our own client to try.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { peerTest } from "../helpers/peers.ts";
import { FORMATS } from "../helpers/scratch.ts";
import {
  CHUNK,
  MIB,
  peerSucceeds,
  runPeer,
  ServedPool,
  stampedBytes,
} from "./served_pool.ts";

const RAW = ["-f", "raw", "-O", "raw"];

/** 64 MiB with data at the start, in the middle and at the end. */
async function makePatchy(pool: ServedPool): Promise<string> {
  const path = pool.work.path("image");
  using file = await Deno.open(path, { write: true, create: true });
  await file.truncate(64 * MIB);
  for (const chunk of [0, 1, 9, 255, 256, 511]) {
    await file.seek(chunk * CHUNK + 8192, Deno.SeekMode.Start);
    await file.write(stampedBytes(CHUNK - 16384, chunk + 1));
  }
  return path;
}

async function compare(
  one: string,
  other: string,
): Promise<{ code: number; stdout: string }> {
  return await runPeer("qemu-img", [
    ...["compare", "-f", "raw", "-F", "raw", one, other],
  ]);
}

for (const format of FORMATS) {
  peerTest(
    `qemu-img convert, map and compare agree about a pool (${format})`,
    ["qemu-img", "qemu-io"],
    async () => {
      await using pool = await ServedPool.start({ format });
      const { uri } = pool;
      const image = await makePatchy(pool);
      await peerSucceeds("qemu-img", [
        ...["convert", "-n", "--target-is-zero", ...RAW, image, uri],
      ]);
      // Nothing was written where the image has nothing.
      const { pool: { mappedChunks } } = await pool.status();
      assertEquals(mappedChunks, 6);
      assertEquals((await compare(image, uri)).code, 0);
      assertEquals((await compare(uri, image)).code, 0);
      const map: { start: number; length: number; zero: boolean }[] = JSON
        .parse(
          await peerSucceeds(
            "qemu-img",
            ["map", "-f", "raw", "--output=json", uri],
          ),
        );
      assertEquals(map.reduce((sum, { length }) => sum + length, 0), 64 * MIB);
      for (const chunk of [0, 1, 9, 255, 256, 511]) {
        const at = chunk * CHUNK + 8192;
        const run = map.find(({ start, length }) =>
          start <= at && at < start + length
        );
        assertEquals([chunk, run?.zero], [chunk, false]);
      }
      // Another byte anywhere is found.
      await peerSucceeds("qemu-io", [
        ...["-f", "raw", "-c", "write -P 3 40000001 1", uri],
      ]);
      const differs = await compare(image, uri);
      assertEquals(differs.code, 1);
      assertMatch(differs.stdout, /Content mismatch at offset/);
      // Into an image format of qemu's own, and over what the pool has.
      const copy = pool.work.path("copy.qcow2");
      await peerSucceeds("qemu-img", [
        ...["convert", "-f", "raw", "-O", "qcow2", uri, copy],
      ]);
      await peerSucceeds("qemu-img", ["convert", "-n", ...RAW, image, uri]);
      assertEquals((await compare(image, uri)).code, 0);
      await peerSucceeds("qemu-img", [
        ...["convert", "-n", "-f", "qcow2", "-O", "raw", copy, uri],
      ]);
      await peerSucceeds("qemu-io", [
        ...["-f", "raw", "-c", "read -P 3 40000001 1", uri],
      ]);
      await pool.stopAndCheck();
    },
  );
}

peerTest("qemu-img bench reads and writes at any depth", [
  "qemu-img",
  "qemu-io",
], async () => {
  await using pool = await ServedPool.start({ componentSize: "20M" });
  const { uri } = pool;
  for (
    const args of [
      ["-w", "-d", "32", "-c", "2048", "-s", "4096", "--pattern=17"],
      ["-w", "-d", "8", "-c", "16", "-s", "1M", "-o", "16M", "--pattern=34"],
      ["-w", "-d", "64", "-c", "512", "-s", "512", "--flush-interval=128"],
      ["-d", "64", "-c", "4096", "-s", "4096"],
      ["-d", "4", "-c", "32", "-s", "2M"],
    ]
  ) {
    const output = await peerSucceeds("qemu-img", [
      ...["bench", "-f", "raw", "-t", "none", ...args, uri],
    ]);
    assertMatch(output, /Run completed in/);
  }
  const output = await peerSucceeds("qemu-io", [
    ...["-f", "raw", "-c", "read -P 0 0 256k", "-c", "read -P 17 256k 7936k"],
    ...["-c", "read -P 34 16M 16M", uri],
  ]);
  assertEquals(output.includes("failed"), false, output);
  await pool.stopAndCheck();
});

peerTest("qemu-io writes zeroes fast, or is refused", [
  "qemu-io",
], async () => {
  await using pool = await ServedPool.start({ format: "native" });
  const { uri } = pool;
  const io = (...commands: string[]) =>
    peerSucceeds("qemu-io", [
      ...["-f", "raw", "-d", "unmap"],
      ...commands.flatMap((command) => ["-c", command]),
      uri,
    ]);
  const output = await io(
    "write -P 5 0 512k",
    "write -z -u -n 128k 128k",
    "read -P 5 0 128k",
    "read -P 0 128k 128k",
    "write -z -u -n 1M 8M",
    "read -P 0 1M 8M",
    "write -f -P 6 4k 4k",
    "write -z -f -u 8k 4k",
    "discard 256k 256k",
    "read -P 6 4k 4k",
    "read -P 0 8k 4k",
    "read -P 0 256k 256k",
  );
  assertEquals(output.includes("failed"), false, output);
  const { server, pool: { mappedChunks } } = await pool.status();
  assertEquals(mappedChunks, 1);
  const { counters } = server ?? {};
  assert((counters?.writeZeroes ?? 0) >= 3, "zeroes were asked for");
  assert((counters?.trims ?? 0) >= 1, "space was given back");
  await pool.stopAndCheck();
});
