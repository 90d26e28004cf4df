/**
 * Pools with components on other machines, by command: the far servers and the
 * server of the pool are killed, and nothing is lost.
 *
 * @module
 */

import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { peerTest } from "../helpers/peers.ts";
import { makeScratch, type Scratch } from "../helpers/scratch.ts";
import { FAR_SIDES } from "./far_sides.ts";
import { FarServer } from "./peers.ts";
import { checkChunks, FAR_SIZE, Machine, writeChunks } from "./remote_pool.ts";

async function makeImage(scratch: Scratch): Promise<string> {
  const image = scratch.file("image");
  await Deno.writeFile(image, new Uint8Array(0));
  await Deno.truncate(image, FAR_SIZE);
  return image;
}

for (const [name, side] of Object.entries(FAR_SIDES)) {
  if (side.isFilter) continue;
  peerTest(
    `a pool on a file and on ${name} survives the deaths of both servers`,
    [side.peer],
    async () => {
      await using scratch = await makeScratch();
      await using far = await side.start(scratch, await makeImage(scratch));
      await using here = await Machine.create();
      const file = await here.makeFile("file", 4 * 2 ** 20);
      await here.succeed("label", "-m", "1M", "p", far.uri, file);
      const first = await here.serve();
      await writeChunks(first.uri, 20, 1);
      // Nothing was flushed: what the far side has is lost with it.
      await far.kill();
      await first.kill();
      await far.start();
      assertStringIncludes(await here.succeed("check", "p"), "is sound");
      const second = await here.serve();
      await checkChunks(second.uri, 20, 1);
      assertEquals((await second.stop()).code, 0);
      assertMatch(
        await here.succeed("dump", far.uri),
        /Stopped cleanly: +yes/,
      );
    },
  );
}

peerTest(
  "without its far side a pool opens degraded only",
  ["nbdkit"],
  async () => {
    await using scratch = await makeScratch();
    const image = await makeImage(scratch);
    await using far = await FarServer.nbdkit(scratch.file("s"), [
      "file",
      image,
    ]);
    await using here = await Machine.create();
    await here.succeed("label", "p", await here.makeFile("a"), far.uri);
    const server = await here.serve();
    await writeChunks(server.uri, 3, 1);
    await server.stop();
    await far.kill();
    const { code, stderr } = await here.run("serve", "p");
    assertEquals(code, 3);
    assertMatch(
      stderr,
      /^virstor: Cannot open pool "p": .*cannot connect.*\n$/i,
    );
    const degraded = await here.serve("--degraded");
    await checkChunks(degraded.uri, 3, 1);
    await degraded.stop();
    await far.start();
    await (await here.serve()).stop();
  },
);
