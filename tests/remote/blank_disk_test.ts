/**
 * Labels are looked for on the disks of other machines where they can be, and
 * nowhere else: no read is left behind that nothing waits for.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { MemoryDevice } from "../../device/mod.ts";
import { VirstorError } from "../../errors.ts";
import { exportOf, NbdDisk, serve } from "../../nbd/mod.ts";
import { clearLabels, findLabel, labelPool } from "../../pool/mod.ts";
import type { RemoteComponents } from "../../pool/remote/mod.ts";
import { makeScratch, MIB } from "../helpers/scratch.ts";

const SIZE = 64 * MIB;

Deno.test("a disk of another machine without a label is read at its end only", async () => {
  await using scratch = await makeScratch();
  const device = new MemoryDevice(SIZE);
  const longer = new MemoryDevice(SIZE + 4096);
  await using far = await serve({
    exports: [
      exportOf(device, { name: "far" }),
      exportOf(longer, { name: "longer" }),
    ],
    listen: { path: scratch.file("far") },
  });
  const uri = `nbd+unix:///far?socket=${scratch.file("far")}`;
  const remote: RemoteComponents = {
    journals: scratch.path,
    journalSize: MIB,
    intervalMs: 500,
    connect: (uris, options) => NbdDisk.connect(uris, options),
  };
  const read = () => far.server.counters.bytesRead;
  const error = await assertRejects(
    () => findLabel(uri, { remote }),
    VirstorError,
  );
  assertEquals(error.code, "not-found");
  assert(read() <= 2 * MIB, `${read()}`);
  await labelPool({ name: "p", paths: [uri], remote });
  assertEquals((await findLabel(uri, { remote })).name, "p");
  // Close to its place, it is found as that of a disk that was extended.
  const content = new Uint8Array(SIZE);
  device.read(content, 0);
  longer.write(content, 0);
  await assertRejects(
    () => findLabel(uri.replace("/far?", "/longer?"), { remote }),
    VirstorError,
    "4096 bytes longer than its label says",
  );
  await clearLabels([uri], { remote });
  await assertRejects(() => findLabel(uri, { remote }), VirstorError);
  assert(read() <= 8 * MIB, `${read()}`);
});
