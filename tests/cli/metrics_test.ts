/**
 * The metrics of a served pool, over HTTP.
 *
 * @module
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import config from "../../deno.json" with { type: "json" };
import { BusyClient } from "../helpers/busy_client.ts";
import {
  metricsOf,
  metricsText,
  metricsUrl,
  rawAnswer,
  sendAll,
} from "../helpers/metrics.ts";
import { eventually } from "../helpers/patience.ts";
import { pattern } from "../helpers/scratch.ts";
import { BLOCK, CHUNK, fill, makeSmallPool, serve } from "./served.ts";

/** How a client asks for the metrics. */
const REQUEST = "GET /metrics HTTP/1.1\r\nhost: any\r\n\r\n";

/** Values of some metrics, in one object to be compared. */
function picked(
  values: ReadonlyMap<string, number>,
  names: RegExp,
): Record<string, number> {
  return Object.fromEntries([...values].filter(([name]) => names.test(name)));
}

for (const threads of ["0", "4"]) {
  Deno.test(`metrics count a known load exactly, with ${threads} threads`, async () => {
    await using work = await makeSmallPool();
    const options = ["--metrics", "127.0.0.1:0", "--threads", threads];
    const server = await serve(work, ...options);
    const url = await metricsUrl(server);
    using client = await BusyClient.open(server);
    const write = (offset: number, i: number) =>
      client.write(offset, pattern(BLOCK, i));
    for (let i = 0; i < 4; i++) await write(i * CHUNK, i);
    for (let i = 0; i < 100; i++) await write(i * BLOCK, i);
    for (let i = 0; i < 50; i++) await client.read(i * BLOCK, BLOCK);
    for (let i = 0; i < 3; i++) assertEquals((await client.flush()).errno, 0);
    assertEquals((await client.trim(3 * CHUNK, CHUNK)).errno, 0);
    assertEquals((await client.writeZeroes(0, BLOCK)).errno, 0);
    assertEquals((await client.writeZeroes(BLOCK, BLOCK)).errno, 0);
    // Beyond the end: a request that the server refuses is an error only.
    assert((await client.read(client.size, BLOCK)).errno !== 0);
    const values = await metricsOf(url);
    assertEquals(picked(values, /^virstor_nbd_(connections|.*_total)/), {
      "virstor_nbd_connections": 1,
      "virstor_nbd_accepted_connections_total": 1,
      "virstor_nbd_refused_connections_total": 0,
      'virstor_nbd_requests_total{command="read"}': 50,
      'virstor_nbd_requests_total{command="write"}': 104,
      'virstor_nbd_requests_total{command="flush"}': 3,
      'virstor_nbd_requests_total{command="trim"}': 1,
      'virstor_nbd_requests_total{command="write_zeroes"}': 2,
      'virstor_nbd_requests_total{command="cache"}': 0,
      'virstor_nbd_requests_total{command="block_status"}': 0,
      "virstor_nbd_error_replies_total": 1,
      "virstor_nbd_read_bytes_total": 50 * BLOCK,
      "virstor_nbd_written_bytes_total": 104 * BLOCK,
    });
    assertEquals(
      Object.values(picked(values, /^virstor_client_read_bytes_total/)),
      [50 * BLOCK],
    );
    await assertTimed(url, {
      read: 50,
      write: 104,
      flush: 3,
      trim: 1,
      write_zeroes: 2,
    });
    const volume = 'pool="demo",volume="demo"';
    const requests = `virstor_volume_requests_total{${volume},request`;
    assertEquals(picked(values, /^virstor_volume_.*_total/), {
      [`${requests}="read"}`]: 50,
      [`${requests}="write"}`]: 104,
      [`${requests}="flush"}`]: 3,
      [`${requests}="discard"}`]: 1,
      [`${requests}="write_zeroes"}`]: 2,
      [`virstor_volume_read_bytes_total{${volume}}`]: 50 * BLOCK,
      [`virstor_volume_written_bytes_total{${volume}}`]: 104 * BLOCK,
      [`virstor_volume_first_writes_total{${volume}}`]: 4,
    });
    const connections = "virstor_export_connections";
    assertEquals(values.get(`${connections}{pool="demo",export="demo"}`), 1);
    await eventually("the discarded chunk is free", async () => {
      const { "free": free } = chunksOf(await metricsOf(url));
      return free === 3;
    });
    assertEquals(chunksOf(await metricsOf(url)), {
      used: 3,
      free: 3,
      freeing: 0,
      reserved: 0,
    });
    assertEquals((await server.stop()).code, 0);
  });
}

/**
 * Asserts that as many requests were timed as were counted: for the server and
 * for the export alike. A thread times a request just after its reply has left.
 */
async function assertTimed(
  url: string,
  counts: Readonly<Record<string, number>>,
): Promise<void> {
  const total = Object.values(counts).reduce((sum, count) => sum + count, 0);
  const of = (family: string, ending: string) =>
    `virstor_${family}_request_duration_seconds_${ending}`;
  const isCount = /_request_duration_seconds_count/;
  await eventually("all requests are timed", async () => {
    const timed = Object.values(picked(await metricsOf(url), isCount));
    return timed.reduce((sum, count) => sum + count, 0) === 2 * total;
  });
  const values = await metricsOf(url);
  const labels = 'pool="demo",export="demo",';
  for (const [command, count] of Object.entries(counts)) {
    const one = `command="${command}"`;
    for (const [family, by] of [["nbd", one], ["export", labels + one]]) {
      const at = (ending: string, more = "") =>
        values.get(`${of(family ?? "", ending)}{${by}${more}}`) ?? NaN;
      assertEquals(at("count"), count, `${family} ${command}`);
      assertEquals(at("bucket", ',le="+Inf"'), count);
      assert(at("sum") > 0, `${family} ${command}`);
      assert(at("bucket", ',le="0.000004"') <= at("bucket", ',le="16.777216"'));
    }
  }
  // This client waits for each reply.
  assertEquals(values.get("virstor_nbd_batch_requests_sum"), total);
  assertEquals(
    values.get('virstor_nbd_batch_requests_bucket{le="1"}'),
    total,
  );
  const inFlight = "virstor_export_requests_in_flight";
  assertEquals(values.get(`${inFlight}{pool="demo",export="demo"}`), 0);
}

/** The chunks of the pool, by state. */
function chunksOf(
  values: ReadonlyMap<string, number>,
): Record<string, number> {
  const states = ["used", "free", "freeing", "reserved"];
  return Object.fromEntries(states.map((state) => [
    state,
    values.get(`virstor_pool_chunks{pool="demo",state="${state}"}`) ?? NaN,
  ]));
}

Deno.test("metrics report the process, the pool and its components", async () => {
  await using work = await makeSmallPool("native", ["a", 'b "\\']);
  const server = await serve(work, "--metrics", "0");
  const url = await metricsUrl(server);
  assertMatch(url, /^http:\/\/127\.0\.0\.1:\d+\/metrics$/);
  const path = work.path('b "\\').replace("\\", "\\\\").replace('"', '\\"');
  const component = `pool="demo",component="${path}"`;
  const room = `virstor_component_host_free_bytes{${component}}`;
  let values = await metricsOf(url);
  await eventually("the server knows the room of the host", async () => {
    values = await metricsOf(url);
    return values.has(room);
  }, 20);
  const { version } = config;
  const build = `version="${version}",deno="${Deno.version.deno}"`;
  assertEquals(values.get(`virstor_build_info{${build}}`), 1);
  const now = Date.now() / 1000;
  const started = values.get("process_start_time_seconds") ?? 0;
  assert(started > now - 3600 && started <= now, String(started));
  for (const name of ["resident_memory_bytes", "open_fds", "max_fds"]) {
    assert((values.get(`process_${name}`) ?? 0) > 10, name);
  }
  const free = values.get(room) ?? 0;
  assert(free > 2 ** 20, String(free));
  assertEquals(
    values.get(`virstor_component_chunks{${component},state="free"}`),
    6,
  );
  assertEquals(
    values.get(
      `virstor_component_refused_since_timestamp_seconds{${component}}`,
    ),
    0,
  );
  assertEquals((await server.stop()).code, 0);
});

Deno.test("metrics report delayed writes and an evacuation", async () => {
  await using work = await makeSmallPool("native", ["a", "b"]);
  const server = await serve(work, "--metrics", "0");
  const url = await metricsUrl(server);
  using client = await BusyClient.open(server);
  await fill(client, 12);
  const late = client.write(20 * CHUNK, pattern(BLOCK, 20));
  const pool = 'pool="demo"';
  await eventually(
    "a write waits",
    async () =>
      (await metricsOf(url)).get(
        `virstor_pool_delayed_writes_pending{${pool}}`,
      ) ===
        1,
  );
  const values = await metricsOf(url);
  assertEquals(
    values.get(`virstor_pool_delayed_pending_bytes{${pool}}`),
    BLOCK,
  );
  assertEquals(values.get(`virstor_pool_delayed_writes_total{${pool}}`), 1);
  const inFlight = `virstor_export_requests_in_flight{${pool},export="demo"}`;
  assertEquals(values.get(inFlight), 1);
  assert((values.get(`virstor_pool_warnings{${pool}}`) ?? 0) > 0);
  await work.succeed(["add", "--create", "2M", "demo", "c"]);
  assertEquals((await late).errno, 0);
  const args = ["remove", "--detach", "--rate", "1K", "demo", "a"];
  await work.succeed(args);
  const after = await metricsOf(url);
  const evacuation = (state: string) =>
    after.get(`virstor_pool_evacuation{${pool},state="${state}"}`);
  assertEquals(["moving", "waiting", "stopped"].map(evacuation), [1, 0, 0]);
  assert((after.get(`virstor_pool_evacuation_left_bytes{${pool}}`) ?? 0) > 0);
  const a = `virstor_component_evacuating{${pool},component="${
    work.path("a")
  }"}`;
  assertEquals(after.get(a), 1);
  assertEquals((await client.flush()).errno, 0);
  const flushes = (await metricsOf(url)).get(
    `virstor_component_flush_duration_seconds_count{${pool},component="${
      work.path("b")
    }"}`,
  );
  assert((flushes ?? 0) > 0, String(flushes));
  assertEquals(after.get(`virstor_pool_components{${pool}}`), 3);
  assertEquals((await server.stop()).code, 0);
});

Deno.test("metrics have volumes, snapshots with clients, and no stopped pool", async () => {
  await using work = await makeSmallPool();
  const sizes = ["-s", "32M", "-m", "128K", "--create", "1M"];
  await work.succeed(["label", ...sizes, "other", "x"]);
  await work.succeed(["volume", "create", "-s", "8M", "demo/data"]);
  await work.succeed(["snapshot", "demo/data@mon", "demo@mon"]);
  const listen = ["--listen", "127.0.0.1:0", "--metrics", "[::1]:0"];
  const server = await work.serve(["serve", ...listen, "demo", "other"]);
  const url = await metricsUrl(server);
  using _client = await BusyClient.open(server, "demo/data@mon");
  const values = await metricsOf(url);
  assertEquals(picked(values, /^virstor_export_connections|_snapshots/), {
    'virstor_export_connections{pool="demo",export="demo"}': 0,
    'virstor_export_connections{pool="demo",export="demo/data"}': 0,
    'virstor_export_connections{pool="demo",export="demo/data@mon"}': 1,
    'virstor_export_connections{pool="other",export="other"}': 0,
    'virstor_volume_snapshots{pool="demo",volume="demo"}': 1,
    'virstor_volume_snapshots{pool="demo",volume="data"}': 1,
    'virstor_volume_snapshots{pool="other",volume="other"}': 0,
  });
  await work.succeed(["stop", "other"]);
  assertEquals(
    [...(await metricsOf(url)).keys()].filter((name) => /other/.test(name)),
    [],
  );
  assertEquals((await server.stop()).code, 0);
});

Deno.test("metrics are served on a Unix socket with the permissions asked for", async () => {
  await using work = await makeSmallPool();
  const path = work.path("m.sock");
  const options = ["--socket-mode", "600", "--metrics", "./m.sock"];
  const server = await serve(work, ...options);
  await server.said(/Serves metrics on \.\/m\.sock/);
  assertEquals(((await Deno.stat(path)).mode ?? 0) & 0o777, 0o600);
  using connection = await Deno.connect({ transport: "unix", path });
  const { status, body } = await rawAnswer(connection, REQUEST);
  assertEquals(status, 200);
  assertMatch(body, /^virstor_pool_failed\{pool="demo"\} 0$/m);
  assertEquals((await server.stop()).code, 0);
  assertEquals(
    [...Deno.readDirSync(work.directory)].map(({ name }) => name)
      .includes("m.sock"),
    false,
  );
});

Deno.test("virstor serve warns of metrics that other machines can read", async () => {
  await using work = await makeSmallPool();
  const options = ["--socket", "s", "--metrics", "0.0.0.0:0"];
  const server = await work.serve(["serve", ...options, "demo"]);
  await server.said(/Notice: Any client that reaches the address of the met/);
  const { port } = new URL(await metricsUrl(server));
  const values = await metricsOf(`http://127.0.0.1:${port}/metrics`);
  assertEquals(values.get('virstor_pool_failed{pool="demo"}'), 0);
  assertEquals((await server.stop()).code, 0);
  // The metrics of this machine are no reason for it.
  const local = await serve(work, "--metrics", "localhost:0");
  await metricsUrl(local);
  assertEquals(/Notice/.test((await local.stop()).stderr), false);
});

Deno.test("virstor serve refuses an address of metrics that it cannot use", async () => {
  await using work = await makeSmallPool();
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = taken.addr;
  const run = (address: string) =>
    work.run(["serve", "--socket", "s", "--metrics", address, "demo"]);
  assertEquals(await run(`127.0.0.1:${port}`), {
    code: 8,
    stdout: "",
    stderr: `virstor: Cannot listen on 127.0.0.1:${port}: the port is in ` +
      "use; choose another with --metrics HOST:PORT\n",
  });
  const wrong = await run("here");
  assertEquals(wrong.code, 64);
  assertMatch(wrong.stderr, /^virstor: Cannot listen on "here": it is no /);
});

Deno.test("the server of metrics answers what it does not serve with an error", async () => {
  await using work = await makeSmallPool();
  const server = await serve(work, "--metrics", "0");
  const port = Number(new URL(await metricsUrl(server)).port);
  const answer = async (request: string) => {
    using connection = await Deno.connect({ port });
    return await rawAnswer(connection, request);
  };
  const statusOf = async (request: string) => (await answer(request)).status;
  assertEquals(await statusOf("GET / HTTP/1.1\r\n\r\n"), 404);
  assertEquals(await statusOf("GET /metrics?x=1 HTTP/1.0\r\n\r\n"), 200);
  const post = await answer("POST /metrics HTTP/1.1\r\n\r\n");
  assertEquals([post.status, /allow: GET, HEAD/.test(post.head)], [405, true]);
  const head = await answer("HEAD /metrics HTTP/1.1\r\n\r\n");
  assertEquals([head.status, head.body], [200, ""]);
  for (const [host, status] of [["evil.example", 421], ["localhost", 200]]) {
    const request = `GET /metrics HTTP/1.1\r\nhost: ${host}:${port}\r\n\r\n`;
    assertEquals(await statusOf(request), status);
  }
  assertEquals(await statusOf("hello\r\n\r\n"), 400);
  assertEquals(await statusOf("GET /metrics HTTP/2.0\r\n\r\n"), 400);
  assertEquals(await statusOf(`GET /${"x".repeat(8192 - 5)}`), 431);
  assertEquals((await server.stop()).code, 0);
});

Deno.test("idle clients of metrics hold nothing up, and are cut off", async () => {
  await using work = await makeSmallPool();
  const server = await serve(work, "--metrics", "0");
  const url = await metricsUrl(server);
  const port = Number(new URL(url).port);
  const idle: Deno.Conn[] = [];
  for (let i = 0; i < 40; i++) {
    const connection = await Deno.connect({ port });
    idle.push(connection);
    await sendAll(connection, "GET /metrics HTTP/1.1\r\n");
    if (i % 10 === 0) assertMatch(await metricsText(url), /^virstor_/m);
  }
  // The oldest made room for those that came later.
  for (const connection of idle.slice(0, 20)) {
    assertEquals((await rawAnswer(connection)).status, 0);
  }
  // A client that does not go on is cut off after ten seconds.
  for (const connection of idle.slice(20, 35)) {
    assertEquals((await rawAnswer(connection)).status, 0);
  }
  assertMatch(await metricsText(url), /^virstor_/m);
  using client = await BusyClient.open(server);
  await fill(client, 1);
  assertEquals((await server.stop()).code, 0);
  for (const connection of idle) {
    try {
      connection.close();
    } catch {
      // Reading it to its end has closed it.
    }
  }
});
