/**
 * A pool of which all components are on other machines has no use for threads:
 * a request would only take one more step to the event loop.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { MemoryDevice } from "../../device/mod.ts";
import { exportOf, NbdDisk, serve } from "../../nbd/mod.ts";
import { labelPool, openPool } from "../../pool/mod.ts";
import { makeScratch, MIB } from "../helpers/scratch.ts";

Deno.test("threads serve a pool as soon as one component is on this machine", async () => {
  await using scratch = await makeScratch();
  await using far = await serve({
    exports: [exportOf(new MemoryDevice(16 * MIB), { name: "far" })],
    listen: { path: scratch.file("far") },
  });
  const remote = {
    connect: NbdDisk.connect,
    journals: scratch.path,
    journalSize: MIB,
    intervalMs: 500,
  };
  await labelPool({ name: "p", paths: [far.uri], remote });
  await using pool = await openPool([far.uri], { remote });
  const { leases } = pool.volume();
  assertEquals(leases.join(), undefined);
  await pool.snapshotChanges.take([{ volume: "p", snapshot: "s" }]);
  const snapshot = pool.snapshotDisk("p", "s");
  assertEquals(snapshot.leases.join(), undefined);
  await pool.add([scratch.file("near")], { createSize: 16 * MIB });
  for (const each of [leases, snapshot.leases]) {
    const number = each.join();
    assert(number !== undefined);
    each.leave(number);
  }
});
