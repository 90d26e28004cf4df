/**
 * Commands that name a component on another machine: forgetting it, putting it
 * aside, rebuilding its superblocks, waiting for it, and where its journal lies.
 *
 * @module
 */

import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { SUPERBLOCK_SLOT_SIZE } from "../../metadata/native/mod.ts";
import { peerTest } from "../helpers/peers.ts";
import { makeScratch, MIB, type Scratch } from "../helpers/scratch.ts";
import { FarServer } from "./peers.ts";
import { checkChunks, FAR_SIZE, Machine, writeChunks } from "./remote_pool.ts";

/** A far server over a sparse image. */
async function startFar(scratch: Scratch): Promise<FarServer> {
  const image = scratch.file("image");
  await Deno.writeFile(image, new Uint8Array(0));
  await Deno.truncate(image, FAR_SIZE);
  return await FarServer.nbdkit(scratch.file("far"), ["file", image]);
}

/** The components of pool "p", as the registry has them. */
async function registered(here: Machine): Promise<string[]> {
  const [{ components }] = JSON.parse(await here.succeed("list", "--json"));
  return components;
}

peerTest(
  "the superblocks of a remote component are rebuilt",
  ["nbdkit"],
  async () => {
    await using scratch = await makeScratch();
    await using far = await startFar(scratch);
    await using here = await Machine.create();
    const near = await here.makeFile("near");
    await here.succeed("label", "-m", "1M", "p", far.uri, near);
    const first = await here.serve();
    await writeChunks(first.uri, 20, 1);
    assertEquals((await first.stop()).code, 0);
    {
      using file = await Deno.open(scratch.file("image"), { write: true });
      for (const slot of [1, 2]) {
        await file.seek(-slot * SUPERBLOCK_SLOT_SIZE, Deno.SeekMode.End);
        await file.write(new Uint8Array(100).fill(0xee));
      }
    }
    assertEquals((await here.run("check", "p")).code, 2);
    assertStringIncludes(
      await here.succeed("repair", "p"),
      `Repaired: ${far.uri}: Both superblocks are lost`,
    );
    assertStringIncludes(await here.succeed("check", "p"), "is sound");
    const again = await here.serve();
    await checkChunks(again.uri, 20, 1);
    assertEquals((await again.stop()).code, 0);
  },
);

peerTest(
  "a remote component that is an older state is refused, and put aside if asked",
  ["nbdkit"],
  async () => {
    await using scratch = await makeScratch();
    await using far = await startFar(scratch);
    await using here = await Machine.create();
    const near = await here.makeFile("near");
    await here.succeed("label", "-m", "1M", "p", near, far.uri);
    await (await here.serve()).stop();
    const image = scratch.file("image");
    const old = await Deno.readFile(image);
    const server = await here.serve();
    await writeChunks(server.uri, 20, 3);
    assertEquals((await server.stop()).code, 0);
    await far.kill();
    await Deno.writeFile(image, old);
    await far.start();
    const refused = await here.run("serve", "p");
    assertEquals(refused.code, 2);
    assertStringIncludes(
      refused.stderr,
      `virstor repair --accept-stale "${far.uri}"`,
    );
    await here.succeed("repair", "--accept-stale", far.uri, "p");
    assertEquals(await registered(here), [near]);
    assertStringIncludes(await here.succeed("check", "p"), "is sound");
  },
);

peerTest(
  "a remote component is forgotten only while it is away",
  ["nbdkit"],
  async () => {
    await using scratch = await makeScratch();
    await using far = await startFar(scratch);
    await using here = await Machine.create();
    const near = await here.makeFile("near");
    await here.succeed("label", "p", near, far.uri);
    const refused = await here.run("forget", "p", far.uri);
    assertEquals([refused.code, await registered(here)], [9, [
      near,
      far.uri,
    ]]);
    await far.kill();
    await here.succeed("forget", "p", far.uri);
    assertEquals(await registered(here), [near]);
    // It is still a component: with its place, the pool is whole.
    await far.start();
    await (await here.serve("--component", far.uri)).stop();
  },
);

peerTest(
  "a server waits for a far side that comes later",
  ["nbdkit"],
  async () => {
    await using scratch = await makeScratch();
    await using far = await startFar(scratch);
    await using here = await Machine.create();
    await here.succeed("label", "p", await here.makeFile("near"), far.uri);
    await far.kill();
    await using server = here.start("serve", "--wait", "600", "p");
    await server.said(/ waiting: .*is missing/);
    await far.start();
    await server.ready();
    server.signal("SIGTERM");
    assertEquals((await server.ended()).code, 0);
  },
);

peerTest(
  "a journal lies where an option, a variable or nothing says",
  ["nbdkit"],
  async () => {
    await using scratch = await makeScratch();
    await using far = await startFar(scratch);
    await using here = await Machine.create();
    const sizes = async (directory: string) => {
      const found: number[] = [];
      for await (const { name } of Deno.readDir(directory)) {
        assertMatch(name, /^[-0-9a-f]{36}\.journal$/);
        found.push((await Deno.stat(`${directory}/${name}`)).size);
      }
      return found;
    };
    const [option, variable] = [here.path("option"), here.path("variable")];
    await here.succeed("label", "--journal", `${option},2M`, "p", far.uri);
    assertEquals(await sizes(option), [2 * MIB]);
    assertEquals(((await Deno.stat(option)).mode ?? 0) & 0o777, 0o700);
    // It was given up: any machine may have it, with any journal.
    here.env["VIRSTOR_JOURNAL"] = `${variable},3M`;
    await (await here.serve()).stop();
    assertEquals(await sizes(variable), [3 * MIB]);
    // The size is that of journals that are made.
    await (await here.serve("--journal", `${variable},4M`)).stop();
    assertEquals(await sizes(variable), [3 * MIB]);
    here.env["VIRSTOR_JOURNAL"] = ",1M";
    await (await here.serve()).stop();
    assertEquals(await sizes(here.path("state/journals")), [MIB]);
    const small = await here.run("serve", "--journal", `${option},1k`, "p");
    assertEquals(small.code, 9);
    assertStringIncludes(small.stderr, "the minimum is 1 MiB");
  },
);
