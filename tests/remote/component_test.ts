/**
 * Remote components over real far servers that are killed and started again,
 * and that forget what was not flushed.
 *
 * @module
 */

import { assert } from "@std/assert";
import { RemoteComponent } from "../../pool/remote/mod.ts";
import { peerTest } from "../helpers/peers.ts";
import { makeScratch } from "../helpers/scratch.ts";
import { FAR_SIDES } from "./far_sides.ts";
import { openJournal } from "./journaled.ts";
import { killAgainAndAgain } from "./killed_servers.ts";
import { BLOCK } from "./verified_load.ts";

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
