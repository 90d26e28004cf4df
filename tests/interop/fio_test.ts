/**
 * Goal: nothing that was acknowledged to fio is ever lost, whether several of
 * its processes write at once or the server has to stop in between. Method:
 * fio's own record of what it wrote, read again after a restart; the writes
 * that may be missing are those that failed or were under way at the end. How
 * many they are is all that fio tells, if its connection breaks; `nbdsh` tells
 * which.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { peerTest } from "../helpers/peers.ts";
import { FORMATS } from "../helpers/scratch.ts";
import { peerSucceeds, runPeer, ServedPool } from "./served_pool.ts";

/** Requests that are under way when the server has to stop. */
const DEPTH = 32;

interface FioReport {
  readonly jobs: readonly {
    readonly read: { readonly total_ios: number };
    readonly write: { readonly total_ios: number };
  }[];
}

/** What fio reported, behind any messages. */
function reportOf(stdout: string): FioReport {
  return JSON.parse(stdout.slice(stdout.indexOf("\n{") + 1));
}

for (const format of FORMATS) {
  peerTest(
    `Four processes of fio verify what they write at once (${format})`,
    ["fio"],
    async () => {
      await using pool = await ServedPool.start({
        format,
        componentSize: "40M",
      });
      const args = () => [
        ...["--name=verify", "--ioengine=nbd", `--uri=${pool.uri}`],
        ...["--numjobs=4", "--size=12M", "--offset_increment=16M"],
        ...["--rw=randrw", "--bsrange=512-64k", "--iodepth=16"],
        ...["--verify=crc32c", "--verify_fatal=1", "--randseed=3"],
        ...["--output-format=json", "--fsync=64"],
      ];
      const { directory } = pool.work;
      const { jobs } = reportOf(await peerSucceeds("fio", args(), directory));
      assertEquals(jobs.length, 4);
      const counts = jobs.map(({ read, write }) =>
        Math.min(read.total_ios, write.total_ios)
      );
      assert(Math.min(...counts) > 100, `${counts} requests`);
      await pool.stopAndCheck();
      await pool.restart();
      await peerSucceeds("fio", [...args(), "--verify_only=1"], directory);
      await pool.stopAndCheck();
    },
  );
}

/** Offsets that fio named behind some words. */
function offsetsBehind(words: RegExp, text: string): Set<string> {
  const pattern = new RegExp(`${words.source}.*? offset=(\\d+), *\\w+=`, "g");
  return new Set([...text.matchAll(pattern)].map(([, offset = ""]) => offset));
}

peerTest(
  "fio loses nothing that was acknowledged when SIGTERM comes",
  ["fio"],
  async () => {
    await using pool = await ServedPool.start({
      format: "native",
      componentSize: "600M",
      virtualSize: "1G",
      chunkSize: "1M",
    });
    const args = () => [
      ...["--name=verify", "--ioengine=nbd", `--uri=${pool.uri}`],
      ...["--rw=randwrite", "--bs=4k", "--size=1G", `--iodepth=${DEPTH}`],
      ...["--verify=crc32c", "--randseed=1", "--output-format=json"],
    ];
    const { directory } = pool.work;
    const writing = runPeer(
      "fio",
      [...args(), "--do_verify=0", "--verify_state_save=1"],
      directory,
    );
    await pool.statusUntil(({ server }) =>
      (server?.counters.writes ?? 0) > 2000
    );
    pool.server.signal("SIGTERM");
    const { code, stderr } = await pool.server.ended();
    assertEquals(code, 0, stderr);
    assertMatch(stderr, /stopping: Got SIGTERM/);
    const written = await writing;
    assertEquals(written.code, 1, "it was interrupted");
    const failed = offsetsBehind(/io_u error/, written.stderr);
    await pool.assertSound();

    await pool.restart();
    const again = await runPeer(
      "fio",
      [...args(), "--verify_only=1", "--verify_state_load=1"],
      directory,
    );
    const lost = offsetsBehind(/requested block:/, again.stderr)
      .difference(failed);
    // If the connection ended first, fio does not name what was under way.
    const unnamed = /nbd_poll/.test(written.stderr) ? DEPTH : 0;
    assert(lost.size <= unnamed, `${lost.size} writes are lost`);
    const count = reportOf(again.stdout).jobs[0]?.read.total_ios ?? 0;
    assert(count > 2000, `only ${count} blocks were verified`);
    await pool.stopAndCheck();
  },
);
