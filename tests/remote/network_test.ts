/**
 * A remote disk on another machine, over a network that is pulled and loses
 * packets: needs root, for network namespaces.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { NbdDisk } from "../../nbd/client/mod.ts";
import { PATIENCE_MS } from "../helpers/patience.ts";
import { makeScratch } from "../helpers/scratch.ts";
import { NETWORK_FAULTS, underFault } from "./network_faults.ts";
import { TwoMachines, twoMachinesTest } from "./two_machines.ts";
import { BLOCK } from "./verified_load.ts";

const BLOCKS = 256;

const QUICK = { silenceMs: 200, backOff: { firstMs: 5, mostMs: 50 } };

for (const name of Object.keys(NETWORK_FAULTS)) {
  twoMachinesTest(`a remote disk loses nothing when ${name}`, async () => {
    const { reconnects = 0 } = await underFault(name, {
      ms: 500,
      rounds: 1,
      disk: QUICK,
    });
    assert(reconnects > 0 || name === "packets are lost", name);
  });
}

twoMachinesTest(
  "what a pulled path still delivers does not undo later writes",
  async () => {
    await using scratch = await makeScratch();
    const image = scratch.file("image");
    await Deno.writeFile(image, new Uint8Array(BLOCKS * BLOCK));
    await using machines = new TwoMachines(2);
    await using _far = await machines.serve(scratch.file("pid"), [
      "file",
      image,
    ]);
    await using disk = await NbdDisk.connect(machines.uris, {
      ...QUICK,
      openTimeoutMs: PATIENCE_MS,
      fenceMs: 100,
    });
    const write = (version: number) =>
      // Not contiguous: each is a request of its own.
      Promise.all(
        Array.from({ length: BLOCKS / 2 }, (_, i) =>
          disk.write(new Uint8Array(BLOCK).fill(version), 2 * i * BLOCK)),
      );
    await write(1);
    machines.set(0, "down");
    await write(2);
    assert(disk.status().reconnects > 0, "the other path has taken over");
    const last = write(3);
    machines.set(0, "up");
    await last;
    await disk.flush();
    const content = await Deno.readFile(image);
    for (let i = 0; i < BLOCKS; i += 2) assertEquals(content[i * BLOCK], 3);
  },
);
