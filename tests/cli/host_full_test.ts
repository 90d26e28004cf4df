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
import { assertSound, CHUNK, serve, statusOf } from "./served.ts";

testUnless(
  "virstor status and the log name the component whose file system is full",
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
      const written = [await write(0), await write(1), await write(2)];
      assertEquals(written.at(-1)?.errno, NBD.ENOSPC);
      await server.said(
        new RegExp(`component "${full}" is full .*, free space there or`),
      );
      const text = await work.succeed(["status", "demo"]);
      assert(text.includes(warning), text);
      assertMatch(text, /; free space there or remove the component$/m);
      assertMatch(text, /\n 0 .* host full +\/.*\/tiny\/a\n/);
      assertMatch(text, /\n 1 .* in use +\/.*\/b\n/);
      const { pool } = await statusOf(work);
      const [a, b] = pool.components;
      assert(a !== undefined && a.hostFree !== null && a.hostFree < CHUNK);
      assert(a.refusedSince !== null);
      assert(b !== undefined && b.hostFree !== null && b.hostFree > CHUNK);
      assertEquals(b.refusedSince, null);

      await Deno.remove(tiny.file("filler"));
      assertEquals((await write(2)).errno, 0);
      const after = await work.succeed(["status", "demo"]);
      assert(!after.includes("file system"), after);
      assert(!after.includes("host full"), after);
    }
    await server.stop();
    await assertSound(work);
  },
);
