/**
 * What commands do with components on other machines, beside serving them.
 *
 * @module
 */

import {
  assert,
  assertEquals,
  assertMatch,
  assertStringIncludes,
} from "@std/assert";
import { NbdDisk } from "../../nbd/client/mod.ts";
import { eventually } from "../helpers/patience.ts";
import { peerTest } from "../helpers/peers.ts";
import { makeScratch, MIB, type Scratch } from "../helpers/scratch.ts";
import { FarServer } from "./peers.ts";
import { checkChunks, FAR_SIZE, Machine, writeChunks } from "./remote_pool.ts";

async function startFar(scratch: Scratch, name = "far"): Promise<FarServer> {
  const image = scratch.file(`${name}.img`);
  await Deno.writeFile(image, new Uint8Array(0));
  await Deno.truncate(image, FAR_SIZE);
  return await FarServer.nbdkit(scratch.file(name), ["file", image]);
}

peerTest(
  "writes that wait for space go on when a URI is added, and chunks move off it again",
  ["nbdkit"],
  async () => {
    await using scratch = await makeScratch();
    await using far = await startFar(scratch);
    await using here = await Machine.create();
    const small = await here.makeFile("small", 4 * MIB);
    await here.succeed("label", "-m", "1M", "p", small);
    const server = await here.serve();
    const writing = writeChunks(server.uri, 15, 1);
    await eventually("a write waits", async () => {
      const { pool } = JSON.parse(await here.succeed("status", "--json", "p"));
      return pool.delayed.count > 0;
    }, 200);
    await here.succeed("add", "p", far.uri);
    await writing;
    const { pool } = JSON.parse(await here.succeed("status", "--json", "p"));
    const { remote } = pool.components[1];
    assertEquals([remote.state, remote.path, remote.reconnects], [
      ...["connected", far.uri, 0],
    ]);
    assert(remote.journalSize > 0, "it has a journal");
    assertEquals(pool.components[0].remote, null);
    assertMatch(await here.succeed("status", "p"), /Remote 1: +connected, nbd/);
    const room = await here.makeFile("room", 24 * MIB);
    await here.succeed("add", "p", room);
    await here.succeed("remove", "--wait", "p", far.uri);
    await checkChunks(server.uri, 15, 1);
    // The far side has no label any more, and may be added again.
    await here.succeed("add", "p", far.uri);
    await here.succeed("remove", "--wait", "p", room);
    await checkChunks(server.uri, 15, 1);
    assertStringIncludes(await here.succeed("check", "p"), "is sound");
    assertEquals((await server.stop()).code, 0);
  },
);

peerTest(
  "a stop does not wait for a far side that is away, and loses nothing",
  ["nbdkit"],
  async () => {
    await using scratch = await makeScratch();
    await using far = await startFar(scratch);
    await using here = await Machine.create();
    await here.succeed("label", "p", far.uri);
    const server = await here.serve("--drain-timeout", "0.5");
    await writeChunks(server.uri, 3, 1);
    await far.kill();
    await writeChunks(server.uri, 3, 7);
    await eventually("status says that it is away", async () => {
      const text = await here.succeed("status", "p");
      return /^Health: +degraded: component "nbd.*" is not connected/m
        .test(text);
    });
    const { code, stderr } = await server.stop();
    assertEquals(code, 1);
    assertStringIncludes(stderr, "Cannot bring everything to");
    assertStringIncludes(stderr, "the rest is in the journal");
    await far.start();
    const again = await here.serve();
    await checkChunks(again.uri, 3, 7);
    assertEquals((await again.stop()).code, 0);
  },
);

peerTest("of two owners of one component one is refused, by URI or as a file", [
  "nbdkit",
], async () => {
  await using scratch = await makeScratch();
  await using far = await startFar(scratch);
  await using here = await Machine.create();
  await using there = await Machine.create();
  await here.succeed("label", "p", far.uri);
  const server = await here.serve();
  await there.succeed("taste", far.uri);
  const image = scratch.file("far.img");
  for (
    const args of [
      ["serve", "p"],
      ["label", "-f", "q", far.uri],
      ["clear", "-f", far.uri],
    ]
  ) {
    const { code, stderr } = await there.run(...args);
    assertEquals([code, args], [8, args], stderr);
    assertStringIncludes(stderr, "it is in use on host");
  }
  await writeChunks(server.uri, 3, 1);
  await server.kill();
  const refused = await there.run("serve", "p");
  assertEquals(refused.code, 6, refused.stderr);
  assertStringIncludes(refused.stderr, "repair --without-journal");
  await far.kill();
  const asFile = await there.run("serve", "p", "--component", image);
  assertEquals(asFile.code, 6, asFile.stderr);
  assertStringIncludes(asFile.stderr, "as a file");
  await far.start();
  const { code } = await there.run("repair", "--without-journal", "p");
  assertEquals(code, 0);
  await (await there.serve()).stop();
});

peerTest("several URIs lead to one component, and no password shows", [
  "nbdkit",
], async () => {
  await using scratch = await makeScratch();
  await using far = await startFar(scratch);
  await using here = await Machine.create();
  const away = "nbd://user:secret@localhost:1/";
  const shown: string[] = [];
  const run = async (...args: string[]) => {
    const { code, stdout, stderr } = await here.run(...args);
    shown.push(stdout, stderr);
    assertEquals(code, 0, stderr);
  };
  await run("label", "-v", "p", `${away},${far.uri}`);
  await run("status", "p");
  await run("list", "--json");
  await run("dump", `${away},${far.uri}`);
  const server = await here.serve();
  await run("status", "--json", "p");
  await using disk = await NbdDisk.connect(server.uri);
  await disk.write(new Uint8Array(10), 0);
  shown.push((await server.stop()).stderr);
  await run("repair", "p");
  await run("clear", "-f", `${away},${far.uri}`);
  const { stderr } = await here.run("serve", "--component", away, "p");
  shown.push(stderr);
  for await (const { name } of Deno.readDir(here.path("state/pools"))) {
    shown.push(await Deno.readTextFile(here.path(`state/pools/${name}`)));
  }
  assertEquals(shown.filter((text) => text.includes("secret")), []);
});
