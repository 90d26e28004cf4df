/**
 * Far servers of all kinds are killed and started again under a verified load:
 * no error reaches the caller, and nothing is wrong. `deno task remote` does
 * the same for as long as the caller wants.
 *
 * @module
 */

import { assert } from "@std/assert";
import { peerTest } from "../helpers/peers.ts";
import { makeScratch } from "../helpers/scratch.ts";
import { FAR_SIDES } from "./far_sides.ts";
import { killUnderFio } from "./fio_load.ts";
import { killAgainAndAgain } from "./killed_servers.ts";
import { BLOCK } from "./verified_load.ts";

const BLOCKS = 256;
const KILLS = 3;

for (const [name, side] of Object.entries(FAR_SIDES)) {
  if (side.forgets || side.isSlow) continue;
  peerTest(
    `a remote disk of ${name} does not notice that it is killed`,
    [side.peer],
    async () => {
      await using scratch = await makeScratch();
      const image = scratch.file("image");
      await Deno.writeFile(image, new Uint8Array(BLOCKS * BLOCK));
      await using far = await side.start(scratch, image);
      const { reconnects } = await killAgainAndAgain({
        far,
        image,
        seed: 1,
        blocks: BLOCKS,
        writes: 100,
        isEnough: (kills) => kills >= KILLS,
      });
      assert(reconnects >= KILLS, `${reconnects}`);
    },
  );
}

peerTest(
  "fio verifies a remote disk whose server is killed",
  ["fio", "nbdkit"],
  async () => {
    await using scratch = await makeScratch();
    const image = scratch.file("image");
    const size = BLOCKS * BLOCK;
    await Deno.writeFile(image, new Uint8Array(size));
    const side = FAR_SIDES["nbdkit that forgets"];
    assert(side !== undefined);
    await using far = await side.start(scratch, image);
    const { kills, reconnects } = await killUnderFio({
      far,
      directory: scratch.path,
      seconds: 1,
      pauseMs: 200,
      size,
    });
    assert(kills > 0 && reconnects >= kills, `${kills}, ${reconnects}`);
  },
);
