/**
 * `serve --wait`: a pool is served when its last component appears; the log and
 * the service manager learn what it waits for, and a signal ends the wait.
 *
 * @module
 */
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { BusyClient } from "../helpers/busy_client.ts";
import { makeSmallPool, serve, start, statusOf } from "./served.ts";

const WAIT = ["serve", "--listen", "127.0.0.1:0", "--wait", "600", "demo"];

Deno.test("serve --wait serves a pool when its last component appears", async () => {
  await using work = await makeSmallPool("native", ["a", "b", "c"]);
  const away = await Deno.makeTempDir();
  for (const name of ["b", "c"]) {
    await Deno.rename(work.path(name), `${away}/${name}`);
  }
  await using server = Object.assign(start(work, WAIT), {
    [Symbol.asyncDispose]: async () => void await server.kill(),
  });
  await server.said(/ waiting: Waits up to 600 seconds: .*are missing/);
  assertEquals((await work.run(["status", "demo"])).code, 3);
  await Deno.rename(`${away}/c`, work.path("c"));
  await server.said(/ waiting: .*component 1 .*is missing/);
  assertEquals(server.stdout, "");
  await Deno.rename(`${away}/b`, work.path("b"));
  await server.ready();
  using client = await BusyClient.open(server);
  assertEquals((await client.read(0, 512)).errno, 0);
  assertEquals((await statusOf(work)).pool.missing, []);
  // From here on a signal ends the server as ever.
  server.signal("SIGTERM");
  assertEquals((await server.ended()).code, 0);
  await Deno.remove(away, { recursive: true });
});

Deno.test("serve --wait ends at once on SIGTERM", async () => {
  await using work = await makeSmallPool("native", ["a", "b"]);
  await Deno.remove(work.path("b"));
  const server = start(work, WAIT);
  await server.said(/ waiting: /);
  server.signal("SIGTERM");
  const { code, stderr, stdout } = await server.ended();
  assertEquals([code, stdout], [0, ""]);
  assertMatch(
    stderr,
    / stopping: Got SIGTERM before all components were there/,
  );
  // The command of --run has not run: that is no success.
  const running = start(work, [...WAIT, "--run", "true"]);
  await running.said(/ waiting: /);
  running.signal("SIGTERM");
  assertEquals((await running.ended()).code, 1);
});

Deno.test("serve --wait ends when the time is over, and does not wait for what no wait brings", async () => {
  await using work = await makeSmallPool("native", ["a", "b"]);
  await Deno.rename(work.path("b"), work.path("state/b"));
  const late = await work.run(["serve", "--wait", "0.3", "demo"]);
  assertEquals(late.code, 3);
  assertStringIncludes(late.stderr, " waiting: Waits up to 0.3 seconds: ");
  assertStringIncludes(late.stderr, "is missing");
  const unknown = await work.run(["serve", "--wait", "600", "other"]);
  assertEquals(unknown.code, 3);
  assertStringIncludes(unknown.stderr, "it is not registered");
  await Deno.rename(work.path("state/b"), work.path("b"));
  await serve(work, "--wait", "600");
});
