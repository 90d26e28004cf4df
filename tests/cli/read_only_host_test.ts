/**
 * What is said of components that lie on a file system that is mounted read-only.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { testUnless } from "../helpers/peers.ts";
import { mountTiny, whyNoMount } from "../helpers/tiny_fs.ts";
import { Workspace } from "../helpers/virstor.ts";

const NO_MOUNT = await whyNoMount();

testUnless(
  "virstor says that a component is on a read-only file system, and how to serve the pool",
  NO_MOUNT,
  async () => {
    await using work = await Workspace.create();
    await using host = await mountTiny(work.path("host"));
    await work.succeed([
      ...["label", "-s", "64M", "-m", "128K", "--create", "1M"],
      ...["vm", "host/a"],
    ]);
    const remount = new Deno.Command("mount", {
      args: ["-o", "remount,ro", host.path],
    });
    assertEquals((await remount.output()).success, true);
    const what =
      `Cannot open pool "vm": cannot write to "${host.file("a")}": ` +
      "it is on a file system, or a device, that is read-only";
    const serve = ["serve", "--socket", "s", "vm"];
    const refused = await work.run(serve);
    assertEquals([refused.code, refused.stderr], [
      6,
      `virstor: ${what}; make it writable, or serve the pool with ` +
      "--read-only\n",
    ]);
    const add = await work.run(["add", "--create", "1M", "vm", "b"]);
    assertEquals([add.code, add.stderr], [6, `virstor: ${what}\n`]);
    const server = await work.serve([...serve, "--read-only"]);
    await server.stop();
  },
);
