/**
 * A far server that forgets: nbdkit's `cache` filter keeps writes in memory
 * until a flush, and loses them when it is killed, as a disk at a power cut.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { peerTest } from "../helpers/peers.ts";
import { makeScratch } from "../helpers/scratch.ts";
import { killAgainAndAgain } from "./killed_servers.ts";
import { FarServer } from "./peers.ts";
import { BLOCK } from "./verified_load.ts";

const BLOCKS = 256;

for (const connections of [1, 4]) {
  peerTest(
    `a remote disk loses nothing with a server that forgets, over ${connections} connection(s)`,
    ["nbdkit"],
    async () => {
      await using scratch = await makeScratch();
      const image = scratch.file("image");
      await Deno.writeFile(image, new Uint8Array(BLOCKS * BLOCK));
      await using far = await FarServer.nbdkit(scratch.file("sock"), [
        ...["--filter=cache", "file", image, "cache=writeback"],
      ]);
      const result = await killAgainAndAgain({
        far,
        image,
        seed: connections,
        blocks: BLOCKS,
        writes: 150,
        isEnough: (kills) => kills >= 8,
        disk: { connections },
      });
      assertEquals(result.kills, 8);
      assert(result.reconnects >= 8, "each kill was noticed");
      // Otherwise the test shows nothing.
      assert(result.forgotten > 0, "the server forgot something");
      assert(result.flushes > 0, "something was flushed");
    },
  );
}
