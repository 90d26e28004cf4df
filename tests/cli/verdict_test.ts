/**
 * The verdict of `status`: how well a pool is, why, and what to do; and
 * `status --watch`.
 *
 * @module
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { BusyClient } from "../helpers/busy_client.ts";
import { pattern } from "../helpers/scratch.ts";
import { metricsOf, metricsUrl } from "../helpers/metrics.ts";
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
    /\nClient +Peer .*\n +1 +127\.0\.0\.1:\d+ +- +demo +20.*Z +0 B +1\.\d+ MiB +1\n/,
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

Deno.test("status counts what a disk has failed, and names the process of a client", async () => {
  await using work = await makeSmallPool();
  const socket = work.path("s");
  const options = ["--socket", socket, "--metrics", "0"];
  const server = await work.serve(["serve", ...options, "demo"]);
  const connection = { hostname: "", port: 0, path: socket };
  using client = await BusyClient.open(connection);
  await fill(client, 2);
  await client.read(0, BLOCK);
  const sound = await untilStatus(work, () => true);
  const [{ bytesRead, bytesWritten, pid, peer } = {}] = sound.server?.clients ??
    [];
  assertEquals(
    { bytesRead, bytesWritten, pid, peer },
    { bytesRead: BLOCK, bytesWritten: 2 * CHUNK, pid: Deno.pid, peer: "unix" },
  );
  assertEquals(sound.pool.components[0]?.errors, {
    reads: 0,
    writes: 0,
    flushes: 0,
  });
  await Deno.truncate(work.path("a"), 0);
  assert((await client.read(0, BLOCK)).errno !== 0);
  await client.write(0, pattern(BLOCK, 1));
  assert((await client.flush()).errno !== 0);
  const text = (await work.run(["status", "demo"])).stdout;
  assertMatch(text, /Used% +Errors +Path\n.* 2 +\S*a\n/);
  assertMatch(
    text,
    /Warning: .*" has failed 1 read, 1 flush: look at its disk/,
  );
  const path = work.path("a");
  const values = await metricsOf(await metricsUrl(server));
  const labels = `pool="demo",component="${path}",request=`;
  assertEquals(
    ["read", "write", "flush"].map((request) =>
      values.get(`virstor_component_errors_total{${labels}"${request}"}`)
    ),
    [1, 0, 1],
  );
  const by = `export="demo",client="1",peer="unix",pid="${Deno.pid}"`;
  assertEquals(
    values.get(`virstor_client_written_bytes_total{${by}}`),
    2 * CHUNK + BLOCK,
  );
});

Deno.test("status --watch shows the status again, until a signal", async () => {
  await using work = await makeSmallPool();
  const watch = start(work, ["status", "--watch", "--json", "demo"]);
  await watch.shows(/"health"[^]*\n\n\{[^]*"health"/);
  watch.signal("SIGINT");
  assertEquals((await watch.ended()).code, 0);
});
