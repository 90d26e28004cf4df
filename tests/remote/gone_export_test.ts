/**
 * Goal: a copy ends at once when its export is gone for good; a component waits
 * for its export to come back.
 *
 * @module
 */

import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { MemoryDevice } from "../../device/mod.ts";
import { VirstorError } from "../../errors.ts";
import { copyDisk } from "../../nbd/client/mod.ts";
import { exportOf, NbdDisk, type NbdExport, NbdServer } from "../../nbd/mod.ts";
import { eventually } from "../helpers/patience.ts";
import { makeScratch, MIB, pattern } from "../helpers/scratch.ts";

Deno.test("a copy to an export that is removed meanwhile ends at once", async () => {
  await using scratch = await makeScratch();
  const device = new MemoryDevice(MIB);
  let exports: NbdExport[] = [exportOf(device, { name: "d" })];
  await using server = new NbdServer({ exports: () => exports });
  const path = scratch.file("socket");
  server.serve(Deno.listen({ transport: "unix", path }));
  const uri = `nbd+unix:///d?socket=${path}`;
  const retries: string[] = [];
  await using disk = await NbdDisk.connect(uri, { endsWithExport: true });
  await using waiting = await NbdDisk.connect(uri, {
    backOff: { firstMs: 1, mostMs: 5 },
    onEvent: ({ kind, message }) => {
      if (kind === "retry") retries.push(message);
    },
  });
  const source = new MemoryDevice(MIB);
  source.write(pattern(MIB, 1), 0);
  exports = [];
  await server.retire(device);
  const error = await assertRejects(
    () => copyDisk(source, disk),
    VirstorError,
  );
  assertEquals(
    [error.code, error.message],
    [
      "not-found",
      `Cannot continue with "${uri}": the server has no export of that name ` +
      "any more; it was removed, or renamed",
    ],
  );
  assertEquals(disk.status().state, "failed");
  // A disk that is to last goes on trying, and has the export back.
  const written = waiting.write(pattern(100, 2), 0);
  await eventually("it tries again", () => retries.length > 2);
  assertMatch(retries[0] ?? "", /has no export "d"/);
  exports = [exportOf(new MemoryDevice(MIB), { name: "d" })];
  await written;
  await waiting.flush();
});
