/**
 * `virstor resize`, on a served pool and on a stopped one.
 *
 * @module
 */
import { assertEquals, assertMatch } from "@std/assert";
import { BusyClient } from "../helpers/busy_client.ts";
import { MIB, pattern } from "../helpers/scratch.ts";
import {
  assertFilled,
  assertSound,
  BLOCK,
  CHUNK,
  fill,
  makeSmallPool,
  serve,
  statusOf,
} from "./served.ts";

const NOTICE =
  "virstor: Notice: Connected clients see the new size when they reconnect\n";

Deno.test("virstor resize makes the disk of a stopped pool larger", async () => {
  await using work = await makeSmallPool();
  assertEquals(await work.run(["resize", "demo", "100000000"]), {
    code: 0,
    stdout: 'Resized pool "demo" from 67108864 bytes (64 MiB) to 100007936 ' +
      "bytes (95.37 MiB)\n",
    stderr: "",
  });
  assertEquals((await statusOf(work)).pool.virtualSize, 763 * CHUNK);
  await assertSound(work);
});

Deno.test("virstor resize of a served pool shows at the next connection", async () => {
  await using work = await makeSmallPool();
  const server = await serve(work);
  using early = await BusyClient.open(server);
  await fill(early, 2);
  assertEquals(await work.run(["resize", "demo", "128M"]), {
    code: 0,
    stdout: 'Resized pool "demo" from 67108864 bytes (64 MiB) to 134217728 ' +
      "bytes (128 MiB)\n",
    stderr: NOTICE,
  });
  assertMatch(server.stderr, / resized: /);
  using late = await BusyClient.open(server);
  assertEquals([early.size, late.size], [64 * MIB, 128 * MIB]);
  const last = 128 * MIB - BLOCK;
  assertEquals((await late.write(last, pattern(BLOCK, 9))).errno, 0);
  assertEquals((await late.read(last, BLOCK)).payload, pattern(BLOCK, 9));
  await assertFilled(early, 2);
});

Deno.test("virstor resize --force makes the disk smaller", async () => {
  await using work = await makeSmallPool();
  const server = await serve(work);
  using early = await BusyClient.open(server);
  await fill(early, 2);
  await early.write(32 * MIB, pattern(BLOCK, 1));
  const refused = await work.run(["resize", "--force", "demo", "32M"]);
  assertEquals({ code: refused.code, stderr: refused.stderr }, {
    code: 9,
    stderr: 'virstor: Cannot make pool "demo" smaller: there are data at ' +
      "byte 33554432, discard them first\n",
  });
  assertEquals((await early.trim(32 * MIB, CHUNK)).errno, 0);
  await work.succeed(["resize", "-f", "demo", "32M"]);
  using late = await BusyClient.open(server);
  assertEquals(late.size, 32 * MIB);
  // A client of before finds nothing behind the new end of the disk.
  assertEquals((await early.read(48 * MIB, BLOCK)).errno !== 0, true);
  assertEquals(
    (await early.write(48 * MIB, pattern(BLOCK, 2))).errno !== 0,
    true,
  );
  await assertFilled(early, 2);
  await assertSound(work);
});
