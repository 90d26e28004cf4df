/**
 * `virstor rename`: a stopped pool gets another name, in its labels and in the
 * registry, or nothing changes. What a crash interrupted is found, and the same
 * command finishes it.
 *
 * @module
 */
import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { callServer } from "../../cli/control/mod.ts";
import { VirstorError } from "../../errors.ts";
import { openPool, readLabel } from "../../pool/mod.ts";
import { BusyClient } from "../helpers/busy_client.ts";
import { StoppingFiles } from "../helpers/stopping_device.ts";
import type { Workspace } from "../helpers/virstor.ts";
import { assertFilled, fill, makeSmallPool, serve } from "./served.ts";

/** The entries of the registry, by the name of the file. */
function registryOf(work: Workspace): Record<string, unknown> {
  const directory = work.path("state/pools");
  const names = [...Deno.readDirSync(directory)].map(({ name }) => name);
  return Object.fromEntries(
    names.toSorted().map((name) => [
      name,
      JSON.parse(Deno.readTextFileSync(`${directory}/${name}`)),
    ]),
  );
}

/** The metrics of a server, whose log has their address. */
async function textOfMetrics(log: string): Promise<string> {
  const [url = ""] = /http:\S+metrics/.exec(log) ?? [];
  const answer = await fetch(url);
  return await answer.text();
}

async function assertRefused(
  work: Workspace,
  to: string,
  code: number,
  text: string,
): Promise<void> {
  const result = await work.run(["rename", "demo", to]);
  assertEquals([result.code, result.stdout], [code, ""], result.stderr);
  assertStringIncludes(result.stderr, text);
}

Deno.test("virstor rename gives a stopped pool another name", async () => {
  await using work = await makeSmallPool("native", ["a", "b"]);
  await work.succeed(["volume", "create", "-s", "1M", "demo/v"]);
  const server = await serve(work);
  using client = await BusyClient.open(server);
  await fill(client);
  await server.stop();
  assertEquals(
    await work.succeed(["rename", "demo", "prod"]),
    'Renamed pool "demo" to "prod"\n',
  );
  const registry = registryOf(work);
  assertEquals(Object.keys(registry), ["prod.json"]);
  const entry = Object(registry["prod.json"]);
  const paths = ["a", "b"].map((name) => work.path(name));
  assertEquals(entry.components, paths);
  assertEquals([entry.name, entry.volumes], ["prod", ["prod/v"]]);
  assertEquals(paths.map((path) => readLabel(path).name), ["prod", "prod"]);
  assertEquals(
    await work.succeed(["check", "prod"]),
    'Pool "prod" is sound\n',
  );
  assertEquals((await work.run(["status", "demo"])).code, 3);
  const again = await work.serve([
    ...["serve", "--listen", "127.0.0.1:0", "prod"],
  ]);
  assertStringIncludes(again.uri, "/prod");
  using reader = await BusyClient.open(again);
  await assertFilled(reader, 6);
});

Deno.test("virstor rename refuses what does not fit, and changes nothing", async () => {
  await using work = await makeSmallPool();
  await work.succeed(["label", "--create", "1M", "-m", "128K", "other", "o"]);
  const before = registryOf(work);
  await assertRefused(work, "other", 4, "another pool of this name");
  await assertRefused(work, "demo", 4, "exists");
  await assertRefused(work, "a/b", 9, 'without "/"');
  assertEquals((await work.run(["rename", "demo"])).code, 64);
  // Also in a server of both, in which clients may know the pool by the name.
  const both = ["serve", "--listen", "127.0.0.1:0", "demo", "other"];
  const server = await work.serve(both);
  await assertRefused(work, "other", 4, "another pool of this server");
  await assertRefused(work, "demo", 4, "exists");
  assertEquals((await work.run(["status", "demo"])).code, 0);
  await server.stop();
  assertEquals(registryOf(work), before);
  assertEquals(readLabel(work.path("a")).name, "demo");
});

Deno.test("virstor rename renames a served pool, clients stay", async () => {
  await using work = await makeSmallPool("native", ["a", "b"]);
  await work.succeed(["volume", "create", "-s", "1M", "demo/v"]);
  const server = await serve(work, "--metrics", "0");
  using client = await BusyClient.open(server);
  await fill(client, 3);
  const renamed = await work.run(["rename", "demo", "prod"]);
  assertEquals([renamed.code, renamed.stdout], [
    0,
    'Renamed pool "demo" to "prod"\n',
  ]);
  assertStringIncludes(renamed.stderr, "Connected clients stay");
  assertEquals(Object.keys(registryOf(work)), ["prod.json"]);
  assertEquals((await work.run(["status", "demo"])).code, 3);
  // The client goes on under the name that it has asked for.
  await fill(client, 4);
  await assertFilled(client, 4);
  const { pool, server: status } = JSON.parse(
    await work.succeed(["status", "--json", "prod"]),
  );
  assertEquals([pool.name, status.clients.length], ["prod", 1]);
  assertStringIncludes(status.uri, "/prod");
  const next = await work.succeed(["info", "--list", "--json", status.uri]);
  assertStringIncludes(next, '"prod/v"');
  assertEquals(next.includes("demo"), false, next);
  const events = await work.succeed(["events", "--json", "prod"]);
  const last = JSON.parse(events.trim().split("\n").at(-1) ?? "");
  assertEquals([last.kind, last.pool], ["volumes", "prod"]);
  assertStringIncludes(
    await textOfMetrics(server.stderr),
    'virstor_export_connections{pool="prod",export="prod"} 1',
  );
  await work.succeed(["snapshot", "prod@s"]);
  // A request that has waited for another rename is not for this pool any more.
  const late = callServer(work.path("state"), "prod", "renamePool", {
    from: "demo",
    to: "other",
  });
  await assertRejects(() => late, VirstorError, 'renamed to "prod" meanwhile');
  await work.succeed(["rename", "prod", "demo"]);
  await work.succeed(["stop", "-f", "demo"]);
  await server.ended();
  assertEquals(readLabel(work.path("b")).name, "demo");
  assertEquals(Object.keys(registryOf(work)), ["demo.json"]);
  assertEquals(
    await work.succeed(["check", "demo"]),
    'Pool "demo" is sound\n',
  );
});

Deno.test("virstor rename refuses a pool of format freebsd", async () => {
  await using work = await makeSmallPool("freebsd");
  const before = registryOf(work);
  await assertRefused(work, "new", 7, "FreeBSD's gvirstor");
  assertEquals(registryOf(work), before);
  assertEquals(readLabel(work.path("a")).name, "demo");
});

Deno.test("virstor rename finishes what a crash interrupted", async () => {
  await using work = await makeSmallPool("native", ["a", "b"]);
  const paths = ["a", "b"].map((name) => work.path(name));
  const finish = async () => {
    await work.succeed(["rename", "demo", "prod"]);
    assertEquals(Object.keys(registryOf(work)), ["prod.json"]);
    await work.succeed(["check", "prod"]);
  };
  // Both entries are there before the first superblock is written.
  const claim = () =>
    Deno.writeTextFile(
      work.path("state/pools/prod.json"),
      JSON.stringify({
        ...Object(registryOf(work)["demo.json"]),
        name: "prod",
      }),
    );
  await claim();
  const files = new StoppingFiles();
  const pool = await openPool(paths, { openDevice: files.open });
  files.stopAfter(1);
  await pool.volumeChanges.renamePool("prod").catch(() => {});
  await pool.close().catch(() => {});
  await files.closeAll();
  assertEquals(paths.map((path) => readLabel(path).name), ["prod", "demo"]);
  const former = await work.run(["status", "demo"]);
  assertEquals(former.code, 3);
  assertStringIncludes(former.stderr, 'it is pool "prod" since a rename');
  await work.succeed(["status", "prod"]);
  await finish();
  // A crash before the first superblock.
  await work.succeed(["rename", "prod", "demo"]);
  await claim();
  await work.succeed(["status", "demo"]);
  await finish();
});
