/**
 * What `--json` prints is what the schemas in `docs/schemas` say. A field that a
 * schema does not have makes the test fail: describe it there.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { COMMANDS } from "../../cli/commands/command_table.ts";
import { BusyClient } from "../helpers/busy_client.ts";
import { type JsonSchema, schemaFindings } from "../helpers/json_schema.ts";
import { pattern } from "../helpers/scratch.ts";
import type { Workspace } from "../helpers/virstor.ts";
import {
  BLOCK,
  CHUNK,
  COMPONENT_CHUNKS,
  fill,
  makeSmallPool,
  serve,
  untilStatus,
} from "./served.ts";

const SCHEMAS = new URL("../../docs/schemas/", import.meta.url);

async function assertJson(
  work: Workspace,
  name: string,
  ...args: string[]
): Promise<void> {
  const url = new URL(`${name}.json`, SCHEMAS);
  const schema: JsonSchema & { $id: string } = JSON.parse(
    await Deno.readTextFile(url),
  );
  assertEquals(schema.$id, `virstor:${name}:1`);
  const { stdout, stderr } = await work.run(args);
  // Events are an object a line.
  const values = name === "events" ? stdout.trimEnd().split("\n") : [stdout];
  for (const value of values) {
    assertEquals(schemaFindings(schema, JSON.parse(value)), [], stderr);
  }
}

Deno.test("each command with --json has a schema, but dump", async () => {
  const described = new Set<string>();
  for await (const { name } of Deno.readDir(SCHEMAS)) {
    described.add(name.replace(/\.json$/, "").replaceAll("-", " "));
  }
  const commands = COMMANDS.filter(({ options }) =>
    options.some(({ name }) => name === "json")
  );
  // Labels are described by docs/format.md.
  assertEquals(
    commands.map(({ name }) => name).filter((name) => !described.has(name)),
    ["dump"],
  );
});

Deno.test("the output of commands with --json is as their schemas say", async () => {
  await using work = await makeSmallPool("native", ["a", "b"]);
  await assertJson(work, "status", "status", "--json", "demo");
  await assertJson(work, "check", "check", "--json", "demo");
  await assertJson(work, "version", "version", "--json");
  await assertJson(work, "taste", "taste", "--json", ".");
  await assertJson(work, "repair", "repair", "--json", "demo");
  const server = await serve(work);
  using client = await BusyClient.open(server);
  await fill(client, 2 * COMPONENT_CHUNKS);
  void client.write(20 * CHUNK, pattern(BLOCK, 20));
  await untilStatus(work, ({ pool }) => pool.delayed.count === 1);
  await assertJson(work, "status", "status", "--json", "demo");
  await assertJson(work, "list", "list", "--json");
  await assertJson(work, "set", "set", "--json", "demo", "grace=5");
  await assertJson(work, "info", "info", "--json", server.uri);
  await assertJson(work, "ping", "ping", "--count=1", "--json", server.uri);
  await assertJson(work, "events", "events", "--json", "demo");
  const plan = ["remove", "--dry-run", "--json", "demo", "a"];
  await assertJson(work, "remove-plan", ...plan);
  await work.succeed(["add", "--create", "1M", "demo", "c", "d"]);
  await work.succeed(["volume", "create", "-s", "1M", "demo/v"]);
  await work.succeed(["snapshot", "demo/v@s"]);
  await work.succeed(["clone", "demo/v@s", "demo/c"]);
  await assertJson(work, "volume-list", "volume", "list", "--json", "demo");
  const snapshots = ["snapshot", "list", "--json", "demo"];
  await assertJson(work, "snapshot-list", ...snapshots);
  const plans = ["snapshot", "remove", "--dry-run", "--json"];
  await assertJson(work, "snapshot-remove", ...plans, "demo/v@s");
  await assertJson(work, "diff", "diff", "--json", "demo/v@s");
  const removal = ["volume", "remove", "--dry-run", "--json", "demo/v"];
  await assertJson(work, "volume-remove", ...removal);
  const slow = ["--json", "--detach", "--rate", "1", "demo"];
  await assertJson(work, "remove", "remove", ...slow, "a");
  await assertJson(work, "status", "status", "--json", "demo");
  await work.succeed(["remove", "--cancel", "demo", "a"]);
  const fresh = ["--create", "1M", ...slow, "b", "e"];
  await assertJson(work, "replace", "replace", ...fresh);
  await server.stop();
  await Deno.remove(work.path("d"));
  await assertJson(work, "status", "status", "--json", "demo");
  await assertJson(work, "list", "list", "--json");
  await assertJson(work, "repair", "repair", "--json", "demo");
  await assertJson(work, "forget", "forget", "--json", "demo");
});
