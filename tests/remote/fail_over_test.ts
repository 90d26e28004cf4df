/**
 * A component of a pool over two paths and TLS: when the first is gone, the other
 * takes over, and the events of the pool say so.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { MemoryDevice } from "../../device/mod.ts";
import { NbdDisk, NbdServer } from "../../nbd/mod.ts";
import { labelPool, openPool, type PoolEvent } from "../../pool/mod.ts";
import { makeScratch, MIB, pattern, readBytes } from "../helpers/scratch.ts";
import { CERTIFICATES, tls } from "../helpers/tls_client.ts";

Deno.test("a component fails over to another path over TLS, and an event says so", async () => {
  await using scratch = await makeScratch();
  const device = new MemoryDevice(16 * MIB);
  const exports = [{ name: "d", description: "", device, readOnly: false }];
  const serve = (path: string) => {
    const server = new NbdServer({ exports, tls: tls() });
    server.serve(Deno.listen({ transport: "unix", path }));
    return server;
  };
  await using first = serve(scratch.file("a"));
  await using _second = serve(scratch.file("b"));
  const uris = ["a", "b"].map((name) =>
    `nbds+unix:///d?socket=${scratch.file(name)}&` +
    `tls-certificates=${CERTIFICATES}good`
  );
  const path = uris.join(",");
  const remote = {
    connect: NbdDisk.connect,
    journals: scratch.path,
    journalSize: MIB,
    intervalMs: 500,
  };
  await labelPool({ name: "p", paths: [path], remote });
  const events: PoolEvent<"remote">[] = [];
  await using pool = await openPool([path], {
    remote,
    onEvent: (event) => event.kind === "remote" && events.push(event),
  });
  await pool.volume().write(pattern(5000, 1), 0);
  await pool.volume().flush();
  await first[Symbol.asyncDispose]();
  await pool.volume().write(pattern(5000, 2), MIB);
  await pool.volume().flush();
  assertEquals(await readBytes(pool.volume(), 0, 5000), pattern(5000, 1));
  const states = events.map(({ state }) => state);
  assertEquals([states[0], states.at(-1)], ["lost", "failed-over"]);
  assertEquals(events.at(-1)?.uri, uris[1]);
  assertEquals(events.at(-1)?.path, path);
});
