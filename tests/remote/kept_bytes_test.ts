/**
 * Writes whose bytes their owner keeps: the remote disk has no copy of them, and
 * asks for them when a server has forgotten what it had answered.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { NbdDisk } from "../../nbd/client/mod.ts";
import { PATIENCE_MS } from "../helpers/patience.ts";
import { makeScratch, pattern } from "../helpers/scratch.ts";
import { CuttingProxy } from "./cutting_proxy.ts";
import { ForgetfulDevice, ForgetfulServer } from "./forgetful_server.ts";

const SIZE = 2 ** 20;
const BLOCK = 4096;

Deno.test("a remote disk writes again what its caller has kept", async () => {
  await using scratch = await makeScratch();
  const device = new ForgetfulDevice(SIZE);
  await using far = new ForgetfulServer(scratch.file("far"), device);
  const path = scratch.file("near");
  await using _proxy = new CuttingProxy(path, far);
  await using disk = await NbdDisk.connect(`nbd+unix:///disk?socket=${path}`, {
    openTimeoutMs: PATIENCE_MS,
    backOff: { firstMs: 1, mostMs: 20 },
  });
  const content = pattern(64 * BLOCK, 1);
  let asked = 0;
  const kept = {
    async read(target: Uint8Array, offset: number) {
      await new Promise((resolve) => setTimeout(resolve, 1));
      asked += target.length;
      target.set(content.subarray(offset, offset + target.length));
    },
  };
  const source = content.slice();
  await disk.write(source, 0, { kept });
  // It is the caller's again.
  source.fill(0);
  assert(disk.status().unflushedBytes < BLOCK, "no copy is kept");
  await disk.write(pattern(BLOCK, 2), 8 * BLOCK);
  await far.afterCut();
  await disk.flush();
  content.set(pattern(BLOCK, 2), 8 * BLOCK);
  assertEquals(device.durable.slice(0, content.length), content);
  assertEquals(asked, 63 * BLOCK, "only what was not overwritten");
});

Deno.test("what a caller keeps counts as unflushed with several paths", async () => {
  await using scratch = await makeScratch();
  const device = new ForgetfulDevice(SIZE);
  await using far = new ForgetfulServer(scratch.file("far"), device);
  const uri = `nbd+unix:///disk?socket=${far.socket}`;
  await using disk = await NbdDisk.connect([uri, uri], {
    openTimeoutMs: PATIENCE_MS,
  });
  const kept = { read: () => undefined };
  await disk.write(pattern(8 * BLOCK, 1), 0, { kept });
  // Another path takes over only when all of it is written there.
  assert(disk.status().unflushedBytes >= 8 * BLOCK);
});
