/**
 * Two owners of one remote component, over a real server: the one that was cut
 * off writes nothing any more, also after a reconnect.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { VirstorError } from "../../errors.ts";
import { NbdDisk } from "../../nbd/client/mod.ts";
import {
  type FarOwner,
  openRemoteComponent,
  type RemoteComponent,
} from "../../pool/remote/mod.ts";
import { eventually, PATIENCE_MS, pause } from "../helpers/patience.ts";
import { peerTest } from "../helpers/peers.ts";
import { makeScratch, pattern, type Scratch } from "../helpers/scratch.ts";
import { FarServer } from "./peers.ts";

const SIZE = 2 ** 20;
// A look at the owner block has to fit in, also on a busy machine.
const INTERVAL_MS = 500;

/** A component, and the disk below it. */
async function open(
  scratch: Scratch,
  uri: string,
  host: string,
  force = false,
): Promise<{ disk: NbdDisk; component: RemoteComponent }> {
  let owner: FarOwner | undefined;
  // The other path never answers, and the wait for it is no reason to go on.
  const uris = [uri, `nbd+unix:///?socket=${scratch.file("nowhere")}`];
  const disk = await NbdDisk.connect(uris, {
    openTimeoutMs: PATIENCE_MS,
    backOff: { firstMs: 5, mostMs: 50 },
    identify: async (read) => await owner?.identify(read) ?? "",
  });
  const component = await openRemoteComponent({
    path: uri,
    far: disk,
    journalOf: () => scratch.file(`journal-${host}`),
    journalSize: 2 ** 20,
    host,
    intervalMs: INTERVAL_MS,
    force,
    onOwner: (taken) => owner = taken,
  });
  return { disk, component };
}

for (const isKilled of [false, true]) {
  peerTest(
    `an owner that was cut off writes nothing after another has come${
      isKilled ? ", also when its server was killed" : ""
    }`,
    ["nbdkit"],
    async () => {
      await using scratch = await makeScratch();
      const image = scratch.file("image");
      await Deno.writeFile(image, new Uint8Array(SIZE));
      await using far = await FarServer.nbdkit(scratch.file("s"), [
        ...["file", image],
      ]);
      const first = await open(scratch, far.uri, "one");
      first.component.write(pattern(5000, 1), 0);
      await first.component.flush();
      // Not flushed: the disk would write it again after a reconnect.
      first.component.write(pattern(5000, 2), 0);
      await eventually(
        "the far side has it",
        () => first.component.status().pending === 0,
      );
      await first.disk.suspend(PATIENCE_MS);
      // What it sends within its interval cannot be called back.
      await pause(2 * INTERVAL_MS);
      first.component.write(pattern(5000, 3), 0);
      const second = await open(scratch, far.uri, "two", true);
      second.component.write(pattern(5000, 4), 0);
      await second.component.flush();
      if (isKilled) {
        await far.kill();
        await far.start();
        await eventually(
          "the disk has stopped",
          () => first.disk.status().state === "failed",
        );
        const { lastError } = first.disk.status();
        assert(/ is in use on host "two";/.test(lastError), lastError);
      }
      first.disk.resume();
      await eventually(
        "the first one notices",
        () => first.component.status().failure !== "",
      );
      await assertRejects(
        async () => await first.component.flush(),
        VirstorError,
      );
      await first.component.close();
      await second.component.flush();
      const content = new Uint8Array(5000);
      await second.component.read(content, 0);
      assertEquals(content, pattern(5000, 4));
      await second.component.close();
      const { buffer } = await Deno.readFile(image);
      assertEquals(new Uint8Array(buffer, 0, 5000), pattern(5000, 4));
    },
  );
}
