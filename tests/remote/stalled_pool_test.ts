/**
 * Goal: a far side that falls silent under a served pool holds up requests for
 * its own chunks only: not those for others, no command, and not the stop.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { MemoryDevice } from "../../device/mod.ts";
import { exportOf, NbdDisk, NbdServer } from "../../nbd/mod.ts";
import { eventually } from "../helpers/patience.ts";
import { makeScratch, MIB, pattern, readBytes } from "../helpers/scratch.ts";
import { Machine } from "./remote_pool.ts";
import { SilencingProxy } from "./silencing_proxy.ts";

/** More chunks than the far side has: the last are near. */
const CHUNKS = 12;

async function states(here: Machine): Promise<string[]> {
  const lines = (await here.succeed("events", "--json", "p")).trim().split(
    "\n",
  );
  return lines.map((line) => JSON.parse(line))
    .filter(({ kind }) => kind === "remote")
    .map(({ state }) => state);
}

Deno.test("a silent far side holds up its own chunks only", async () => {
  await using scratch = await makeScratch();
  await using here = await Machine.create();
  const device = new MemoryDevice(8 * MIB);
  await using server = new NbdServer({
    exports: [exportOf(device, { name: "far" })],
  });
  const socket = scratch.file("far");
  server.serve(Deno.listen({ transport: "unix", path: socket }));
  await using proxy = new SilencingProxy(scratch.file("proxy"), socket);
  const near = await here.makeFile("near");
  await here.succeed("label", "-m", "1M", "p", proxy.uri, near);
  const pool = await here.serve("--drain-timeout", "2");
  await using disk = await NbdDisk.connect(pool.uri, { connections: 1 });
  for (let i = 0; i < CHUNKS; i++) await disk.write(pattern(5000, i), i * MIB);
  await disk.flush();
  const used = async (): Promise<number[]> =>
    JSON.parse(await here.succeed("status", "--json", "p")).pool.components
      .map((one: { used: number }) => one.used);
  const [far = 0, other = 0] = await used();
  assert(far > 2 && far < CHUNKS && other > 0, `${far} and ${other} chunks`);

  proxy.silenceAfter(0);
  let hasFar = false;
  const farRead = readBytes(disk, 0, 5000).finally(() => hasFar = true);
  // A chunk that is near, and a new one, which goes there.
  const last = (CHUNKS - 1) * MIB;
  assertEquals(await readBytes(disk, last, 5000), pattern(5000, CHUNKS - 1));
  await disk.write(pattern(5000, 77), last);
  await disk.write(pattern(5000, 78), CHUNKS * MIB);
  // The journal takes what is written to a far chunk, and has it for reads.
  await disk.write(pattern(5000, 79), MIB);
  assertEquals(await readBytes(disk, MIB, 5000), pattern(5000, 79));
  assertEquals(await readBytes(disk, CHUNKS * MIB, 5000), pattern(5000, 78));
  await here.succeed("set", "p", "on-full=error");
  assertEquals((await used())[0], far);
  await eventually(
    "the connection is lost",
    async () => (await states(here)).includes("lost"),
    1000,
  );
  const refused = await here.run("resize", "p", "4T");
  assertEquals(refused.code, 1);
  assertMatch(refused.stderr, /not answered for .* nothing has changed/);
  assert(!hasFar, "a read of the far side waits");

  proxy.goOn();
  assertEquals(await farRead, pattern(5000, 0));
  await disk.flush();
  assert((await states(here)).includes("connected"));
  await here.succeed("resize", "p", "4T");

  proxy.silenceAfter(0);
  await disk.write(pattern(5000, 80), 2 * MIB);
  const end = await pool.stop();
  assertMatch(end.stderr, /the rest is in the journal/);
  assertEquals(end.code, 1);
  proxy.goOn();
  const again = await here.serve();
  await using disk2 = await NbdDisk.connect(again.uri);
  assertEquals(await readBytes(disk2, 2 * MIB, 5000), pattern(5000, 80));
  assertEquals(await readBytes(disk2, MIB, 5000), pattern(5000, 79));
  await disk2.close();
  assertEquals((await again.stop()).code, 0);
});
