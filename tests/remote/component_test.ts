/**
 * Remote components over real far servers that are killed and started again,
 * and that forget what was not flushed.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { RemoteComponent } from "../../pool/remote/mod.ts";
import { peerTest } from "../helpers/peers.ts";
import { makeScratch } from "../helpers/scratch.ts";
import { FAR_SIDES } from "./far_sides.ts";
import { openJournal, openRemote } from "./journaled.ts";
import { killAgainAndAgain } from "./killed_servers.ts";
import { FarServer } from "./peers.ts";
import { BLOCK, VerifiedLoad } from "./verified_load.ts";

const BLOCKS = 256;

for (const [name, side] of Object.entries(FAR_SIDES)) {
  const kills = side.forgets ? 8 : 3;
  peerTest(
    `a remote component of ${name} does not notice that it is killed`,
    [side.peer],
    async () => {
      await using scratch = await makeScratch();
      const image = scratch.file("image");
      await Deno.writeFile(image, new Uint8Array(BLOCKS * BLOCK));
      await using far = await side.start(scratch, image);
      const result = await killAgainAndAgain({
        far,
        image,
        seed: 1,
        blocks: BLOCKS,
        writes: 150,
        isEnough: (count) => count >= kills,
        over: async (disk) => {
          const path = scratch.file("journal");
          const journal = await openJournal(path, disk);
          const component = new RemoteComponent({
            path: far.uri,
            far: disk,
            journal,
          });
          return component;
        },
      });
      assert(result.reconnects >= kills, `${result.reconnects}`);
      // Otherwise the test shows nothing.
      assert(result.flushes > 0, "something was flushed");
      assert(!side.forgets || result.forgotten > 0, "something was forgotten");
    },
  );
}

peerTest(
  "a remote component repeats what a slow server with large blocks refuses now and then",
  ["nbdkit"],
  async () => {
    await using scratch = await makeScratch();
    const image = scratch.file("image");
    await Deno.writeFile(image, new Uint8Array(BLOCKS * BLOCK));
    await using far = await FarServer.nbdkit(scratch.file("s"), [
      ...["--log=null", "--filter=blocksize-policy", "--filter=delay"],
      "--filter=error",
      ...["file", image, "error=EIO", "error-pwrite-rate=3%"],
      ...["error-zero-rate=3%", "wdelay=2ms", "rdelay=1ms"],
      ...["blocksize-minimum=512", "blocksize-preferred=4096"],
      ...["blocksize-maximum=64k", "blocksize-error-policy=error"],
    ]);
    const component = await openRemote(far.uri, scratch.file("journal"));
    const load = new VerifiedLoad(component, BLOCKS, 1);
    const running = load.run();
    // It fails the test where the test waits for it.
    running.catch(() => {});
    await Promise.race([running, load.progress(3000)]);
    load.stop();
    await running;
    await load.checkDisk();
    await component.flush();
    assertEquals(component.status().failure, "");
    const content = new Uint8Array(BLOCKS * BLOCK);
    await component.read(content, 0);
    await component.close();
    assertEquals(await Deno.readFile(image), content);
  },
);
