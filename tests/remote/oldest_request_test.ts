/**
 * The age of the oldest request in the status of a remote disk: it counts from
 * when the request left first, whatever became of its connections, and while
 * the server is away.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { NbdDisk } from "../../nbd/client/mod.ts";
import { eventually } from "../helpers/patience.ts";
import { peerTest } from "../helpers/peers.ts";
import { makeScratch, MIB } from "../helpers/scratch.ts";
import { FarServer } from "./peers.ts";

peerTest("the oldest request of a remote disk is as old as its wait", [
  "nbdkit",
], async () => {
  await using scratch = await makeScratch();
  const path = scratch.file("image");
  await Deno.writeFile(path, new Uint8Array(MIB));
  await using far = await FarServer.nbdkit(scratch.file("s"), [
    ...["--filter=delay", "file", path, "delay-write=1"],
  ]);
  const backOff = { firstMs: 1, mostMs: 10 };
  await using disk = await NbdDisk.connect(far.uri, { backOff });
  assertEquals(disk.status().oldestMs, 0);
  const begin = performance.now();
  const first = disk.write(new Uint8Array(512), 0);
  await eventually("it is in flight", () => disk.status().inFlight > 0);
  await far.kill();
  await eventually("the server is away", () => {
    const { state, oldestMs } = disk.status();
    return state === "connecting" && oldestMs > 0;
  });
  const away = performance.now();
  // One that begins now waits, too, but not as long.
  const second = disk.write(new Uint8Array(512), 4096);
  await far.start();
  await eventually("it is in flight again", () => {
    const { state, inFlight } = disk.status();
    return state === "connected" && inFlight > 0;
  });
  const now = performance.now();
  const { oldestMs } = disk.status();
  assert(oldestMs >= away - begin, `${oldestMs} of ${now - begin}`);
  await Promise.all([first, second]);
  assertEquals(disk.status().oldestMs, 0);
});

peerTest("a request that waits for a server that is away is counted", [
  "nbdkit",
], async () => {
  await using scratch = await makeScratch();
  await using far = await FarServer.nbdkit(scratch.file("s"), ["memory", "1M"]);
  const backOff = { firstMs: 1, mostMs: 10 };
  await using disk = await NbdDisk.connect(far.uri, { backOff });
  await far.kill();
  await eventually("it is away", () => disk.status().state === "connecting");
  const read = disk.read(new Uint8Array(512), 0);
  await eventually("it waits", () => disk.status().oldestMs > 20);
  await far.start();
  await read;
  assertEquals(disk.status().oldestMs, 0);
});
