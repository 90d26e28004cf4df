/**
 * What other clients see of a served pool, and do to it.
 *
 * @module
 */

import { assertEquals, assertMatch } from "@std/assert";
import { FileDevice } from "../../device/mod.ts";
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

peerTest(
  "nbdinfo shows size, flags, block sizes and the name of a pool",
  ["nbdinfo"],
  async () => {
    await using pool = await ServedPool.start();
    const info = JSON.parse(
      await peerSucceeds("nbdinfo", [
        ...["--json", pool.uri],
      ]),
    );
    assertEquals(info.protocol, "newstyle-fixed");
    const [first] = info.exports;
    const { content: _, uri, is_rotational, ...properties } = first;
    // That depends on the machine.
    const device = new FileDevice(pool.work.path("c0"));
    assertEquals(is_rotational, device.rotational);
    await device.close();
    assertMatch(uri, /^nbd\+unix:\/\/\/pool\?socket=/);
    assertEquals(properties, {
      "export-name": "pool",
      description: "virstor pool pool",
      is_read_only: false,
      can_cache: true,
      can_df: true,
      can_fast_zero: true,
      can_flush: true,
      can_fua: true,
      can_multi_conn: true,
      can_trim: true,
      can_zero: true,
      contexts: ["base:allocation", "virstor:chunk", "virstor:pressure"],
      block_size_minimum: 1,
      block_size_preferred: 4096,
      block_size_maximum: 32 * MIB,
      "export-size": 64 * MIB,
      "export-size-str": "64M",
    });
    // The empty name is the default export.
    const unnamed = pool.uri.replace("/pool?", "/?");
    const size = await peerSucceeds("nbdinfo", ["--size", unnamed]);
    assertEquals(size, `${64 * MIB}\n`);
    const other = pool.uri.replace("/pool?", "/other?");
    assertEquals((await runPeer("nbdinfo", ["--size", other])).code, 1);
    const all = JSON.parse(
      await peerSucceeds("nbdinfo", [
        ...["--list", "--json", unnamed],
      ]),
    );
    const names = all.exports.map((one: Record<string, unknown>) =>
      one["export-name"]
    );
    assertEquals(names, ["pool"]);
    await pool.stopAndCheck();
  },
);

peerTest(
  "nbdinfo sees a read-only pool as that",
  ["nbdinfo"],
  async () => {
    await using pool = await ServedPool.start({ serve: ["--read-only"] });
    await peerSucceeds("nbdinfo", ["--is", "read-only", pool.uri]);
    const trims = await runPeer("nbdinfo", ["--can", "trim", pool.uri]);
    assertEquals(trims.code, 2);
    await pool.stopAndCheck();
  },
);

peerTest("nbd-client lists the pool", ["nbd-client"], async () => {
  await using pool = await ServedPool.start({ tcp: true });
  const { port } = pool.server;
  const listed = await peerSucceeds("nbd-client", [
    ...["-l", "127.0.0.1", String(port)],
  ]);
  assertMatch(listed, /^pool\b/m);
  await pool.stopAndCheck();
});

for (const format of FORMATS) {
  peerTest(
    `fio verifies 64 MiB of random writes at depth 32 (${format})`,
    ["fio"],
    async () => {
      await using pool = await ServedPool.start({
        format,
        componentSize: "40M",
        chunkSize: "1M",
      });
      const args = [
        ...["--name=verify", "--ioengine=nbd", `--uri=${pool.uri}`],
        ...["--rw=randwrite", "--bs=4k", "--size=64M", "--iodepth=32"],
        ...["--verify=crc32c", "--verify_fatal=1", "--randseed=1"],
      ];
      await peerSucceeds("fio", args, pool.work.directory);
      await pool.stopAndCheck();
      // And all of it once more, after a restart.
      await pool.restart();
      const again = args.map((arg) =>
        arg.startsWith("--uri=") ? `--uri=${pool.uri}` : arg
      );
      await peerSucceeds("fio", [
        ...again,
        "--verify_only=1",
      ], pool.work.directory);
      await pool.stopAndCheck();
    },
  );
}

Deno.test("What is written and flushed on one connection is read on another", async () => {
  await using pool = await ServedPool.start();
  using one = await pool.connect();
  using other = await pool.connect();
  assertEquals(one.flags >> 8 & 1, 1, "CAN_MULTI_CONN");
  for (let round = 0; round < 20; round++) {
    // The second half of the rounds overwrites.
    const offset = (round % 10) * CHUNK + 4096;
    const bytes = stampedBytes(8192, round);
    const [writer, reader] = round % 2 === 0 ? [one, other] : [other, one];
    assertEquals((await writer.write(offset, bytes)).errno, 0);
    assertEquals((await writer.flush()).errno, 0);
    assertEquals((await reader.read(offset, 8192)).payload, bytes);
  }
  assertEquals((await pool.status()).server?.clients.length, 2);
  await Promise.all([one.disconnect(), other.disconnect()]);
  await pool.stopAndCheck();
});
