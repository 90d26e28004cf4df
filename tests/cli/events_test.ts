/**
 * `virstor events` beside a real server.
 *
 * @module
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import type { EventRecord } from "../../cli/control/mod.ts";
import { BusyClient } from "../helpers/busy_client.ts";
import { pattern } from "../helpers/scratch.ts";
import { BLOCK, CHUNK, fill, makeSmallPool, serve, start } from "./served.ts";

function eventsOf(text: string): EventRecord[] {
  return text.trimEnd().split("\n").map((line) => JSON.parse(line));
}

Deno.test("virstor events shows what happened to a pool, and --follow what happens", async () => {
  await using work = await makeSmallPool();
  const server = await serve(work, "--chunk-watermark", "3");
  await work.succeed(["snapshot", "demo@mon"]);
  await work.succeed(["snapshot", "remove", "demo@mon"]);
  const follower = start(work, ["events", "--follow", "--json", "demo"]);
  await follower.printed(/"number":2,/);
  using client = await BusyClient.open(server);
  await fill(client);
  const waiting = client.write(40 * CHUNK, pattern(BLOCK, 1));
  await server.said(/delayed/);
  await work.succeed(["add", "--create", "1M", "demo", "b"]);
  assertEquals((await waiting).errno, 0);
  await server.said(/resumed/);

  const all = eventsOf(await work.succeed(["events", "--json", "demo"]));
  const kinds = ["watermark", "delayed", "added", "resumed"];
  for (const kind of kinds) assert(all.some((one) => one.kind === kind), kind);
  assertEquals(all.map(({ number }) => number), all.map((_, i) => i + 1));
  const added = all.find(({ kind }) => kind === "added");
  assertEquals([added?.level, added?.pool], ["info", "demo"]);
  assertEquals(added?.components, [work.path("b")]);
  const watermark = all.find(({ kind }) => kind === "watermark");
  assertEquals(
    [watermark?.["count"], watermark?.["minimum"], watermark?.["total"]],
    [2, 3, 6],
  );
  for (const { time } of all) assertMatch(time, /^\d{4}-.*\.\d{3}Z$/);
  const text = await work.succeed(["events", "--last", "1", "demo"]);
  const last = all.at(-1);
  assertMatch(text, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ [a-z]+: .*\n$/);
  assert(text.endsWith(` ${last?.kind}: ${last?.message}\n`), text);

  await work.succeed(["stop", "-f", "demo"]);
  assertEquals((await server.ended()).code, 0);
  const followed = await follower.ended();
  assertEquals([followed.code, followed.stderr], [0, ""]);
  const rest = eventsOf(followed.stdout);
  assertEquals(rest.slice(0, all.length), all);
  assertEquals(
    rest.slice(all.length).map(({ kind, message }) => [
      kind,
      message,
    ]),
    [["stopping", "Asked to stop"]],
  );

  const { code, stderr } = await work.run(["events", "demo"]);
  assertEquals(code, 3);
  assertMatch(
    stderr,
    /^virstor: Cannot show events of pool "demo": no process/,
  );
});

Deno.test("virstor events shows the pools of a server together", async () => {
  await using work = await makeSmallPool();
  const sizes = ["-s", "64M", "-m", "128K", "--create", "1M"];
  await work.succeed(["label", ...sizes, "other", "o"]);
  assertEquals((await work.run(["events"])).code, 3);
  const args = ["serve", "--listen", "127.0.0.1:0", "demo", "other"];
  const server = await work.serve(args);
  assertEquals(await work.succeed(["events"]), "");
  for (const name of ["demo", "other", "demo"]) {
    await work.succeed(["snapshot", `${name}@s${Math.random()}`]);
  }
  const lines = (await work.succeed(["events"])).trimEnd().split("\n");
  assertEquals(lines.map((line) => /pool "(\w+)": Took/.exec(line)?.[1]), [
    ...["demo", "other", "demo"],
  ]);
  const one = await work.succeed(["events", "other"]);
  assert(!one.includes("pool"), one);
  assertEquals(one.trimEnd().split("\n").length, 1);
  // The events of a pool end with it, and those of the other go on.
  const follower = start(work, ["events", "-f", "--json"]);
  await follower.printed(/(.*\n){3}/);
  await work.succeed(["stop", "demo"]);
  await work.succeed(["snapshot", "other@last"]);
  await server.stop();
  const { code, stdout } = await follower.ended();
  assertEquals(code, 0);
  const last = eventsOf(stdout).filter(({ kind }) => kind === "stopping");
  assertEquals(last.map(({ pool, message }) => [pool, message]), [
    ["demo", "Asked to stop"],
    ["other", "Got SIGINT; a second one ends it at once"],
  ]);
});

Deno.test("virstor events --follow says when the server was killed", async () => {
  await using work = await makeSmallPool();
  const server = await serve(work);
  await work.succeed(["snapshot", "demo@mon"]);
  const follower = start(work, ["events", "--follow", "demo"]);
  await follower.printed(/volumes: Took "demo@mon"/);
  await server.kill();
  const { code, stderr } = await follower.ended();
  assertEquals(code, 1);
  assertMatch(stderr, /the server of pool "demo" has ended before it sent all/);
});
