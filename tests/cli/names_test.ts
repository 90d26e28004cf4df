/**
 * Pool names that are longer than file names, or hold what file names and URIs
 * do not.
 *
 * @module
 */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { basename } from "node:path";
import {
  controlSocketPath,
  registryPath,
} from "../../cli/state/state_directory.ts";
import { BusyClient } from "../helpers/busy_client.ts";
import { labelPool } from "../../pool/mod.ts";
import { MIB, pattern } from "../helpers/scratch.ts";
import { Workspace } from "../helpers/virstor.ts";

const NAMES = {
  "of 255 bytes": "ü".repeat(127) + "x",
  "with slashes and spaces, made before volumes": " a/b /../c ",
  "with an at sign, made before snapshots": "a@b",
  "with an emoji": "disk 💽 100%?#&=",
};

/** Makes a pool whose name `label` refuses by now. */
async function labelBefore(work: Workspace, name: string): Promise<void> {
  const sizes = { createSize: 4 * MIB, virtualSize: 64 * MIB };
  await labelPool({ name, paths: [work.path("a")], ...sizes });
  await work.succeed(["taste", "a"]);
}

for (const [what, name] of Object.entries(NAMES)) {
  Deno.test(`virstor takes a pool name ${what}`, async () => {
    await using work = await Workspace.create();
    if (/[/@]/.test(name)) await labelBefore(work, name);
    else {
      await work.succeed(
        ["label", "-s", "64M", "--create", "4M", "--", name, "a"],
      );
    }
    const [listed] = JSON.parse(await work.succeed(["list", "--json"]));
    assertEquals([listed.name, listed.state], [name, "stopped"]);
    const server = await work.serve(
      ["serve", "--socket", "nbd.sock", "--", name],
    );
    const uri = new URL(server.uri);
    assertEquals(decodeURIComponent(uri.pathname), `/${name}`);
    assertEquals(uri.searchParams.get("socket"), work.path("nbd.sock"));
    using client = await BusyClient.open({ path: work.path("nbd.sock") }, name);
    assertEquals((await client.write(0, pattern(4096, 1))).errno, 0);
    const report = JSON.parse(await work.succeed(["status", "--json", name]));
    assertEquals(
      [report.pool.name, report.pool.usedChunks, report.server.uri],
      [name, 1, server.uri],
    );
    const text = await work.succeed(["status", name]);
    assertStringIncludes(text, `${name.trimEnd()}\n`);
    await work.succeed(["resize", name, "128M"]);
    await work.succeed(["volume", "create", "-s", "1M", `${name}/v`]);
    await work.succeed(["snapshot", `${name}@s`, `${name}/v@s`]);
    const snapshots = JSON.parse(
      await work.succeed(["snapshot", "list", "--json", name]),
    );
    assertEquals(
      snapshots.map((one: { volume: string }) => one.volume),
      [name, "v"],
    );
    await work.succeed(["stop", "-f", name]);
    assertEquals((await server.ended()).code, 0);
    await work.succeed(["check", name]);
    await work.succeed(["clear", "-f", "a"]);
    assertEquals(await work.succeed(["list", "--json"]), "[]\n");
  });
}

Deno.test("every pool has files of its own, with short names", () => {
  const names = [
    ...Object.values(NAMES),
    "ü".repeat(127) + "y",
    "a".repeat(45),
    "a".repeat(46),
    "a".repeat(47),
    "/".repeat(15),
    "demo",
  ];
  const directory = "/" + "d".repeat(46);
  const files = names.flatMap((name) => [
    basename(registryPath(directory, name)),
    // Throws if it is too long for a socket.
    basename(controlSocketPath(directory, name)),
  ]);
  assertEquals(new Set(files).size, 2 * names.length);
  assert(files.every((file) => file.length <= 50), files.join(" "));
  assert(files.every((file) => /^[\w.+%-]+$/.test(file)), files.join(" "));
  assertEquals(files.at(-1), "demo.sock");
});
