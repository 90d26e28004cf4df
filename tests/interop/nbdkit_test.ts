/**
 * Goal: nbdkit's NBD plugin in front of a pool, alone and under its filters, is
 * as good as the pool itself. Method: real programs on both sides of it.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { peerTest } from "../helpers/peers.ts";
import {
  CHUNK,
  MIB,
  peerSucceeds,
  ServedPool,
  stampedBytes,
} from "./served_pool.ts";
import { firstDifference } from "../helpers/bytes.ts";

const POOL = { virtualSize: "16M" };

/** Runs a shell command with nbdkit in front of a pool, at `$uri`. */
function behindNbdkit(
  pool: ServedPool,
  filters: readonly string[],
  command: string,
  parameters: readonly string[] = [],
): Promise<string> {
  return peerSucceeds("nbdkit", [
    ...["-U", "-", ...filters.map((filter) => `--filter=${filter}`)],
    ...["nbd", `uri=${pool.uri}`, ...parameters, "--run", command],
  ]);
}

/** 16 MiB with data in 20 chunks of the disk. */
async function makeImage(pool: ServedPool): Promise<string> {
  const path = pool.work.path("image");
  const bytes = new Uint8Array(16 * MIB);
  for (let chunk = 0; chunk < 20; chunk++) {
    bytes.set(stampedBytes(CHUNK, chunk), chunk * 5 * CHUNK);
  }
  await Deno.writeFile(path, bytes);
  return path;
}

peerTest("nbdkit offers what the pool offers", [
  "nbdkit",
  "nbdinfo",
], async () => {
  await using pool = await ServedPool.start();
  const properties = async (text: Promise<string>) => {
    const { exports: [first] } = JSON.parse(await text);
    return Object.fromEntries(
      Object.entries(first).filter(([name]) =>
        /^(can|is|export-size|contexts)/.test(name)
      ),
    );
  };
  const direct = await properties(
    peerSucceeds("nbdinfo", ["--json", pool.uri]),
  );
  // Of contexts nbdkit knows no other one.
  direct["contexts"] = ["base:allocation"];
  const relayed = await properties(
    behindNbdkit(pool, [], 'nbdinfo --json "$uri"', ["shared=true"]),
  );
  assertEquals(relayed, direct);
  await pool.stopAndCheck();
});

peerTest("nbdkit's cow filter leaves the pool alone", [
  "nbdkit",
  "qemu-io",
  "nbdcopy",
], async () => {
  await using pool = await ServedPool.start({ ...POOL, componentSize: "4M" });
  const image = await makeImage(pool);
  await peerSucceeds("nbdcopy", ["--flush", image, pool.uri]);
  const writes = async () => (await pool.status()).server?.counters.writes;
  const before = await writes();
  const output = await behindNbdkit(
    pool,
    ["cow"],
    `qemu-io -f raw -c 'write -P 1 0 1M' -c 'read -P 1 0 1M' \\
      -c 'write -P 2 3276800 512' -c 'read -P 2 3276800 512' "$uri"`,
  );
  assertEquals(output.includes("failed"), false, output);
  assertEquals(await writes(), before);
  await peerSucceeds("nbdcopy", [pool.uri, pool.work.path("out")]);
  await assertSameFile(image, pool.work.path("out"));
  await pool.stopAndCheck();
});

peerTest("nbdkit's checkwrite filter finds in a pool what was copied", [
  "nbdkit",
  "nbdcopy",
], async () => {
  await using pool = await ServedPool.start({ ...POOL, componentSize: "4M" });
  const image = await makeImage(pool);
  // The filter fails every write of something else than is there.
  await peerSucceeds("nbdcopy", ["--flush", image, pool.uri]);
  await behindNbdkit(pool, ["checkwrite"], `nbdcopy '${image}' "$uri"`);
  await pool.stopAndCheck();
});

for (
  const { filters, parameters = [] } of [
    { filters: ["blocksize"], parameters: ["minblock=4k", "maxdata=64k"] },
    { filters: ["nozero", "noextents"] },
    { filters: ["fua"], parameters: ["fuamode=emulate"] },
  ]
) {
  peerTest(
    `A pool behind nbdkit's ${
      filters.join(" and ")
    } filter keeps what is written`,
    ["nbdkit", "nbdcopy", "qemu-io"],
    async () => {
      await using pool = await ServedPool.start({
        ...POOL,
        componentSize: "16M",
      });
      const image = await makeImage(pool);
      const out = pool.work.path("out");
      await behindNbdkit(
        pool,
        filters,
        `nbdcopy --flush '${image}' "$uri" && nbdcopy "$uri" '${out}' &&
         qemu-io -f raw -c 'write -f -P 7 512 1024' \\
           -c 'write -z -u 66048 4096' -c flush "$uri"`,
        parameters,
      );
      await assertSameFile(image, out);
      const output = await peerSucceeds("qemu-io", [
        ...["-f", "raw", "-c", "read -P 7 512 1024"],
        ...["-c", "read -P 0 66048 4096", pool.uri],
      ]);
      assertEquals(output.includes("failed"), false, output);
      await pool.stopAndCheck();
    },
  );
}

async function assertSameFile(one: string, other: string): Promise<void> {
  const [a, b] = [await Deno.readFile(one), await Deno.readFile(other)];
  assertEquals(a.length, b.length);
  const wrong = firstDifference(a, b);
  assert(wrong === -1, `byte ${wrong} is wrong`);
}
