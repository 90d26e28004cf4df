/**
 * `serve()` and `exportOf()`: a pool's volume is served with one call. Real
 * pools, sockets and clients.
 *
 * @module
 */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { exists } from "@std/fs";
import { VirstorError } from "../../../errors.ts";
import { MemoryDevice } from "../../../device/mod.ts";
import { exportOf, NbdDisk, type NbdEvent, serve } from "../../../nbd/mod.ts";
import { labelPool, openPool } from "../../../pool/mod.ts";
import { makeScratch, MIB } from "../../helpers/scratch.ts";

Deno.test("exportOf() tells clients what a volume tells of itself", async () => {
  await using scratch = await makeScratch();
  const paths = [scratch.file("a.img")];
  await labelPool({ name: "vm", paths, createSize: 16 * MIB });
  await using pool = await openPool(paths, { readOnly: true });
  const volume = pool.volume();
  const { device, contexts = [], ...told } = exportOf(volume);
  assertEquals(told, {
    name: "vm",
    description: "virstor volume vm",
    readOnly: true,
    rotational: volume.rotational,
    contextFamilies: [],
  });
  assert(device === volume);
  const names = (all: readonly { name: string }[]) =>
    all.map((one) => one.name);
  assertEquals(names(contexts), names(volume.contexts));
  assert(contexts.length > 0);
});

Deno.test("exportOf() takes name and block size of a plain device, and refuses it without a name", () => {
  const device = new MemoryDevice(MIB);
  const made = exportOf(device, { name: "ram", preferredBlockSize: 8192 });
  assertEquals([made.name, made.preferredBlockSize], ["ram", 8192]);
  assertEquals([made.readOnly, made.contexts], [false, []]);
  assertThrows(() => exportOf(device), VirstorError, "without a name");
});

Deno.test("exportOf() never lets clients write to a read-only device", () => {
  const device = new MemoryDevice(MIB, { readOnly: true });
  const made = exportOf(device, { name: "ram", readOnly: false });
  assertEquals(made.readOnly, true);
});

Deno.test("serve() serves a volume on a Unix socket, and removes the socket", async () => {
  await using scratch = await makeScratch();
  const paths = [scratch.file("a.img")];
  await labelPool({ name: "vm", paths, createSize: 16 * MIB });
  await using pool = await openPool(paths);
  const path = scratch.file("vm.sock");
  const events: NbdEvent[] = [];
  {
    await using served = await serve({
      volume: pool.volume(),
      listen: { path },
      onEvent: (event) => events.push(event),
    });
    await using disk = await NbdDisk.connect(served.uri);
    await disk.write(new TextEncoder().encode("Hello"), MIB);
    await disk.flush();
    assert(served.server.clients.length > 0);
  }
  assert(!await exists(path));
  assert(events.some(({ kind }) => kind === "connected"));
  const read = new Uint8Array(5);
  await pool.volume().read(read, MIB);
  assertEquals(new TextDecoder().decode(read), "Hello");
});

Deno.test("serve() serves several exports on a port that is free", async () => {
  const names = ["one", "two"];
  await using served = await serve({
    exports: names.map((name) => exportOf(new MemoryDevice(MIB), { name })),
    listen: { hostname: "127.0.0.1", port: 0 },
    threads: 0,
  });
  assertEquals(served.uris.length, 2);
  for (const uri of served.uris) {
    await using disk = await NbdDisk.connect(uri);
    assertEquals(disk.size, MIB);
  }
});

Deno.test("serve() refuses an address that another server uses", async () => {
  const device = exportOf(new MemoryDevice(MIB), { name: "ram" });
  const hostname = "127.0.0.1";
  const exports = [device];
  await using served = await serve({ exports, listen: { hostname, port: 0 } });
  const port = Number(new URL(served.uri.replace("nbd:", "http:")).port);
  const error = await assertRejects(
    () => serve({ exports, listen: { hostname, port } }),
    VirstorError,
    "the port is in use; choose another",
  );
  assertEquals(error.code, "busy");
});

Deno.test("a server that is closed closes once, and says that it is finished", async () => {
  const exports = [exportOf(new MemoryDevice(MIB), { name: "ram" })];
  const listen = { hostname: "127.0.0.1", port: 0 };
  const served = await serve({ exports, listen });
  await Promise.all([served.close(), served.close()]);
  await served.finished;
});
