/**
 * Goal: a thousand volumes and a thousand snapshots are served, listed and
 * changed as a few are. Method: they are written into the superblocks of a
 * stopped pool; the commands and a client do the rest.
 *
 * @module
 */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { listNbdExports } from "../../nbd/mod.ts";
import { addSnapshots } from "../helpers/long_superblock.ts";
import { BusyClient } from "../helpers/busy_client.ts";
import { pattern } from "../helpers/scratch.ts";
import { Workspace } from "../helpers/virstor.ts";
import { assertSound, BLOCK, serve } from "./served.ts";

const MANY = 1000;

async function counts(work: Workspace): Promise<[number, number]> {
  const volumes = JSON.parse(await work.succeed(["volume", "list", "--json"]));
  const snapshots = JSON.parse(
    await work.succeed(["snapshot", "list", "--json"]),
  );
  return [volumes.length, snapshots.length];
}

Deno.test("a thousand volumes and a thousand snapshots are served, listed and changed", async () => {
  await using work = await Workspace.create();
  await work.succeed(
    ["label", "-s", "1G", "-m", "64K", "--create", "64M", "demo", "a", "b"],
  );
  addSnapshots(["a", "b"].map((name) => work.path(name)), MANY, 12, MANY);
  const [volumes, snapshots] = [MANY + 1, MANY];
  assertEquals(await counts(work), [volumes, snapshots]);
  const server = await serve(work);
  const exports = await listNbdExports(server.uri);
  assertEquals(exports.length, volumes + snapshots);
  const names = new Set(exports.map(({ name }) => name));
  assertEquals(names.size, exports.length);
  const last = `demo/${String(MANY - 1).padStart(12, "v")}`;
  const oldest = `demo@${"0".padStart(12, "s")}`;
  for (const name of ["demo", last, oldest]) {
    assertEquals(names.has(name), true, name);
  }
  {
    using client = await BusyClient.open(server, last);
    assertEquals((await client.write(0, pattern(BLOCK, 1))).errno, 0);
    assertEquals((await client.flush()).errno, 0);
    await client.disconnect();
  }
  await work.succeed(["snapshot", "demo@new", `${last}@new`]);
  await work.succeed(["volume", "create", "-s", "1M", "demo/new"]);
  assertEquals(await counts(work), [volumes + 1, snapshots + 2]);
  const { pool } = JSON.parse(await work.succeed(["status", "--json", "demo"]));
  assertEquals(pool.volumes.length, volumes + 1);
  assertEquals(pool.volumes[0].snapshots.length, MANY + 1);
  const text = await work.succeed(["status", "demo"]);
  assertStringIncludes(text, "demo");
  assertEquals(
    (await listNbdExports(server.uri)).length,
    volumes + snapshots + 3,
  );
  {
    using client = await BusyClient.open(server, `${last}@new`);
    const { payload } = await client.read(0, BLOCK);
    assertEquals(payload, pattern(BLOCK, 1));
    await client.disconnect();
  }
  await work.succeed(["stop", "demo"]);
  assertEquals(await counts(work), [volumes + 1, snapshots + 2]);
  await assertSound(work);
});
