/**
 * A host file system that is full under one of the components.
 *
 * @module
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { BusyClient } from "../helpers/busy_client.ts";
import { NO_NATIVE_CALLS } from "../helpers/native.ts";
import { NBD } from "../helpers/nbd_client.ts";
import { testUnless } from "../helpers/peers.ts";
import { pattern } from "../helpers/scratch.ts";
import { mountTiny, whyNoMount } from "../helpers/tiny_fs.ts";
import { Workspace } from "../helpers/virstor.ts";
import {
  assertFilled,
  assertSound,
  CHUNK,
  fill,
  serve,
  statusOf,
} from "./served.ts";

testUnless(
  "new chunks go elsewhere while a file system is full; status and the log name it",
  NO_NATIVE_CALLS ?? await whyNoMount(),
  async () => {
    await using work = await Workspace.create();
    await using tiny = await mountTiny(work.path("tiny"));
    const sizes = ["-s", "64M", "-m", "128K", "--create", "1M"];
    await work.succeed(["label", ...sizes, "demo", "tiny/a", "b"]);
    // No room for another chunk is left.
    await Deno.writeFile(tiny.file("filler"), new Uint8Array(2 ** 20 * 1.8))
      .catch(() => {});
    const full = tiny.file("a");
    const warning =
      `\nWarning: The file system of component "${full}" is full, `;
    const stopped = await work.succeed(["status", "demo"]);
    assert(stopped.includes(warning), stopped);

    const server = await serve(work);
    {
      using client = await BusyClient.open(server);
      const write = (v: number) => client.write(v * CHUNK, pattern(CHUNK, v));
      // One that has met the full file system in its middle fails: what is
      // there of it stays.
      const failed: number[] = [];
      for (let v = 0; v < 4; v++) {
        if ((await write(v)).errno === 0) continue;
        failed.push(v);
        assertEquals((await write(v)).errno, NBD.ENOSPC);
      }
      assert(failed.length <= 1, `${failed}`);
      await server.said(
        new RegExp(`host-full: .*component "${full}" is full, free space`),
      );
      const text = await work.succeed(["status", "demo"]);
      assert(text.includes(warning), text);
      assertMatch(text, /: new chunks go elsewhere since .*; free space /);
      assertMatch(text, /\n 0 .* host full +\/.*\/tiny\/a\n/);
      assertMatch(text, /\n 1 .* in use +\/.*\/b\n/);
      const { pool } = await statusOf(work);
      const [a, b] = pool.components;
      assert(a !== undefined && a.hostFree !== null && a.hostFree < CHUNK);
      assert(a.refusedSince !== null);
      assert(b !== undefined && b.hostFree !== null && b.hostFree > CHUNK);
      assertEquals(b.refusedSince, null);

      await Deno.remove(tiny.file("filler"));
      for (const v of failed) assertEquals((await write(v)).errno, 0);
      await assertFilled(client, 4);
      // The command asks the file systems.
      const after = await work.succeed(["status", "demo"]);
      const { used } = a;
      assertEquals((await write(4)).errno, 0);
      const [again] = (await statusOf(work)).pool.components;
      assertEquals(again?.used, used + 1);
      assert(!after.includes("file system"), after);
      assert(!after.includes("host full"), after);
    }
    await server.stop();
    await assertSound(work);
  },
);

testUnless(
  "virstor status names the full file system that an evacuation met",
  NO_NATIVE_CALLS ?? await whyNoMount(),
  async () => {
    await using work = await Workspace.create();
    await using tiny = await mountTiny(work.path("tiny"));
    const sizes = ["-s", "64M", "-m", "128K", "--create", "1M"];
    await work.succeed(["label", ...sizes, "demo", "a", "tiny/b"]);
    const full = tiny.file("b");
    const server = await serve(work);
    {
      using client = await BusyClient.open(server);
      await fill(client, 4);
      await Deno.writeFile(tiny.file("filler"), new Uint8Array(2 ** 20 * 1.8))
        .catch(() => {});
      const refused = await work.run(["remove", "demo", "a"]);
      assertEquals(refused.code, 1, refused.stderr);
      const isNamed = new RegExp(
        `component "${full}" is full .*, free space there or`,
      );
      assertMatch(refused.stderr, isNamed);
      await server.said(isNamed);
      const { pool } = await statusOf(work);
      const [a, b] = pool.components;
      assertEquals(a?.refusedSince, null);
      assert(b !== undefined && b.refusedSince !== null);
      const text = await work.succeed(["status", "demo"]);
      assertMatch(text, /\nWarning: .*\/tiny\/b" is full, .* fail there since/);
      assertMatch(text, /\n 1 .* host full +\/.*\/tiny\/b\n/);

      await Deno.remove(tiny.file("filler"));
      await work.succeed(["remove", "demo", "a"]);
      await assertFilled(client, 4);
      const after = await work.succeed(["status", "demo"]);
      assert(!after.includes("file system"), after);
    }
    await server.stop();
    await assertSound(work);
  },
);

testUnless(
  "zeroing that keeps its space names the component whose file system is full",
  NO_NATIVE_CALLS ?? await whyNoMount(),
  async () => {
    await using work = await Workspace.create();
    await using tiny = await mountTiny(work.path("tiny"));
    const sizes = ["-s", "64M", "-m", "128K", "--create", "1M"];
    await work.succeed(["label", ...sizes, "demo", "tiny/a"]);
    const server = await serve(work);
    {
      using client = await BusyClient.open(server);
      assertEquals((await client.write(0, pattern(4096, 1))).errno, 0);
      await Deno.writeFile(tiny.file("filler"), new Uint8Array(2 ** 20 * 1.8))
        .catch(() => {});
      // The chunk is mapped, and most of it is a hole.
      const zeroed = await client.writeZeroes(0, CHUNK, NBD.CMD_FLAG_NO_HOLE);
      assertEquals(zeroed.errno, NBD.ENOSPC);
      await server.said(/component ".*\/tiny\/a" is full /);
      const { pool } = await statusOf(work);
      assert(typeof pool.components[0]?.refusedSince === "string");
    }
    await server.stop();
  },
);

testUnless(
  "label, add and status name files that promise more than their disk has",
  NO_NATIVE_CALLS ?? await whyNoMount(),
  async () => {
    await using work = await Workspace.create();
    await using _tiny = await mountTiny(work.path("tiny"));
    const sizes = ["-s", "64M", "-m", "128K", "--create"];
    const promise = /Notice: .* has \d+ bytes free, but components there may/;
    const labelled = await work.run([
      "label",
      ...sizes,
      "8M",
      "demo",
      "tiny/a",
    ]);
    assertEquals(labelled.code, 0);
    assertMatch(labelled.stderr, promise);
    const text = await work.succeed(["status", "demo"]);
    assertMatch(
      text,
      /\nHost: +[\d.]+ MiB promised, [\d.]+ MiB free of 2 MiB, /,
    );
    assertMatch(text, /\nWarning: .* free, but components there may take /);

    const mark = ["--host-watermark", "95%"];
    const server = await serve(work, ...mark);
    await server.said(/watermark: The file system of component ".*\/tiny\/a"/);
    const event = JSON.parse(await work.succeed(["events", "--json", "demo"]));
    assertEquals([event.kind, event.mark], ["watermark", "host"]);
    assertEquals(event.components, [work.path("tiny/a")]);
    const add = ["add", "--create", "8M", "demo", "tiny/b"];
    const refused = await work.run([...add, "--preallocate"]);
    assertEquals(refused.code, 5);
    assertMatch(refused.stderr, /Cannot allocate ".*\/tiny\/b": it needs /);
    const added = await work.run(add);
    assertEquals(added.code, 0);
    assertMatch(added.stderr, promise);
    await work.succeed(["add", "--preallocate", "--create", "1M", "demo", "c"]);
    const { blocks } = await Deno.stat(work.path("c"));
    assert((blocks ?? 0) * 512 >= 2 ** 20);
    await server.stop();
    for (const value of ["101%", "x", "5%%"]) {
      const bad = await work.run(["serve", "--host-watermark", value, "demo"]);
      assertEquals(bad.code, 64, bad.stderr);
    }
  },
);

Deno.test("serve --chunk-watermark takes a percentage and a size, too", async () => {
  for (const value of ["50%", "384K"]) {
    await using work = await Workspace.create();
    const sizes = ["-s", "64M", "-m", "128K", "--create", "1M"];
    await work.succeed(["label", ...sizes, "demo", "a"]);
    const server = await serve(work, "--chunk-watermark", value);
    using client = await BusyClient.open(server);
    await fill(client, 4);
    await server.said(/watermark: 2 of 6 chunks are free, fewer than 3 \(/);
  }
});
