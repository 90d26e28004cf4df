/**
 * fio verifies what it writes through a remote disk, whose far server is killed
 * and started again meanwhile.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { NbdDisk } from "../../nbd/client/mod.ts";
import { exportOf, serve } from "../../nbd/mod.ts";
import { eventually, PATIENCE_MS, pause } from "../helpers/patience.ts";
import { peerPath } from "../helpers/peers.ts";
import type { Killable } from "./peers.ts";

/** How fio runs. */
export interface FioOptions {
  /** The far server. */
  readonly far: Killable;
  /** A directory for the socket that fio uses. */
  readonly directory: string;
  /** How long it writes, seconds. */
  readonly seconds: number;
  /** Milliseconds between two kills. */
  readonly pauseMs: number;
  /** Bytes of the disk that are used. */
  readonly size: number;
}

/** What became of it. */
export interface FioResult {
  /** How many times the server was killed. */
  readonly kills: number;
  /** Requests that fio sent. */
  readonly requests: number;
  /** How many times the disk connected again. */
  readonly reconnects: number;
}

/**
 * Runs fio with `--verify` on a remote disk, and kills the far server. Fails if
 * fio sees an error, or anything else than it wrote.
 *
 * @param options The server, and how long.
 * @returns Counts.
 */
export async function killUnderFio(options: FioOptions): Promise<FioResult> {
  const { far, directory, seconds, pauseMs, size } = options;
  await using disk = await NbdDisk.connect(far.uri, {
    openTimeoutMs: PATIENCE_MS,
    backOff: { firstMs: 5, mostMs: 50 },
  });
  await using served = await serve({
    exports: [exportOf(disk, { name: "disk" })],
    listen: { path: `${directory}/near` },
  });
  const child = new Deno.Command(peerPath("fio") ?? "fio", {
    args: [
      ...["--name=verify", "--ioengine=nbd", `--uri=${served.uri}`],
      ...["--rw=randwrite", "--bsrange=4k-64k", "--iodepth=16", "--fsync=32"],
      ...["--time_based=1", `--runtime=${seconds}`, `--size=${size}`],
      ...["--verify=crc32c", "--verify_fatal=1", "--verify_backlog=64"],
      "--output-format=json",
    ],
    cwd: directory,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let isDone = false;
  const ended = child.output().finally(() => isDone = true);
  let kills = 0;
  while (!isDone) {
    await Promise.race([ended, pause(pauseMs)]);
    if (isDone) break;
    await far.kill();
    kills += 1;
    await far.start();
    // Not killed again before the disk has noticed.
    await eventually(
      "the disk is connected again",
      () => disk.status().reconnects >= kills,
    );
  }
  const { code, stdout, stderr } = await ended;
  const text = new TextDecoder().decode(stdout);
  assertEquals(code, 0, text + new TextDecoder().decode(stderr));
  const { jobs: [job] } = JSON.parse(text.slice(text.indexOf("{")));
  const requests = job.read.total_ios + job.write.total_ios;
  return { kills, requests, reconnects: disk.status().reconnects };
}
