/**
 * The verdict of `status`: how well a pool is, why, and what to do; and
 * `status --watch`.
 *
 * @module
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { BusyClient } from "../helpers/busy_client.ts";
import { pattern } from "../helpers/scratch.ts";
import type { Workspace } from "../helpers/virstor.ts";
import {
  BLOCK,
  CHUNK,
  COMPONENT_CHUNKS,
  fill,
  makeSmallPool,
  serve,
  start,
  untilStatus,
} from "./served.ts";

async function healthOf(work: Workspace): Promise<{
  verdict: string;
  reasons: { verdict: string; reason: string; advice: string }[];
}> {
  const { stdout } = await work.run(["status", "--json", "demo"]);
  return JSON.parse(stdout).health;
}

Deno.test("status begins with a verdict, a reason, and advice", async () => {
  await using work = await makeSmallPool("native", ["a", "b"]);
  assertEquals(await healthOf(work), { verdict: "healthy", reasons: [] });
  const server = await serve(work);
  using client = await BusyClient.open(server);
  await fill(client, 2 * COMPONENT_CHUNKS);
  const full = await healthOf(work);
  assertEquals(full.verdict, "warning");
  assertMatch(full.reasons[0]?.reason ?? "", /^All 12 chunks are in use/);
  assertEquals(full.reasons[0]?.advice, '"virstor add demo PATH" adds space');
  void client.write(20 * CHUNK, pattern(BLOCK, 20));
  await untilStatus(work, ({ pool }) => pool.delayed.count === 1);
  const text = await work.succeed(["status", "demo"]);
  assertMatch(
    text,
    /^Pool: +demo\nHealth: +degraded: 1 write waits for space; "virstor add demo/,
  );
  assertMatch(
    text,
    /\nClient +Peer .*\n +1 +127\.0\.0\.1:\d+ +demo +20.*Z +1\n/,
  );
  assertMatch(await work.succeed(["status"]), /\ndemo +degraded +served /);
  const { server: { clients } } = JSON.parse(
    await work.succeed(["status", "--json", "demo"]),
  );
  assertEquals(clients[0].inFlight, 1);
  assert(!Number.isNaN(Date.parse(clients[0].since)));
  await server.stop();
  await Deno.remove(work.path("b"));
  const lost = await healthOf(work);
  assertEquals(lost.verdict, "failed");
  assertMatch(lost.reasons[0]?.advice ?? "", /serve --degraded demo/);
  await serve(work, "--degraded");
  const part = await healthOf(work);
  assertEquals([part.verdict, part.reasons[0]?.reason], [
    "degraded",
    "1 of 2 components is missing",
  ]);
});

Deno.test("status --watch shows the status again, until a signal", async () => {
  await using work = await makeSmallPool();
  const watch = start(work, ["status", "--watch", "--json", "demo"]);
  await watch.shows(/"health"[^]*\n\n\{[^]*"health"/);
  watch.signal("SIGINT");
  assertEquals((await watch.ended()).code, 0);
});
