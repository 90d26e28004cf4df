/**
 * What Prometheus makes of the metrics of a served pool.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { metricsText, metricsUrl } from "../helpers/metrics.ts";
import { eventually } from "../helpers/patience.ts";
import { peerPath, peerTest } from "../helpers/peers.ts";
import { Workspace } from "../helpers/virstor.ts";

/** A served pool, of a component whose name has to be escaped. */
async function makePool(): Promise<Workspace> {
  const work = await Workspace.create();
  const sizes = ["-s", "64M", "-m", "128K", "--create", "1M"];
  await work.succeed(["label", ...sizes, "demo", 'a "\\', "ä"]);
  return work;
}

/** Serves it, with metrics. */
async function urlOfMetrics(work: Workspace): Promise<string> {
  const options = ["--socket", "nbd.sock", "--metrics", "127.0.0.1:0"];
  return metricsUrl(await work.serve(["serve", ...options, "demo"]));
}

/** A port that was free a moment ago. */
function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

peerTest("promtool finds no fault with the metrics", ["promtool"], async () => {
  await using work = await makePool();
  const text = await metricsText(await urlOfMetrics(work));
  const { code, output } = await promtool(["check", "metrics"], text);
  assertEquals([code, output], [0, ""]);
});

peerTest("promtool takes the examples of the docs", ["promtool"], async () => {
  const page = new URL("../../docs/operations.md", import.meta.url);
  const blocks = (await Deno.readTextFile(page)).matchAll(
    /```yaml\n(.*?)```/gs,
  );
  const checks = Array.from(blocks, ([, yaml = ""]) => ({
    yaml,
    what: yaml.startsWith("groups:") ? "rules" : "config",
  }));
  assertEquals(checks.map(({ what }) => what), ["config", "rules"]);
  for (const { yaml, what } of checks) {
    const path = await Deno.makeTempFile({ suffix: ".yml" });
    await Deno.writeTextFile(path, yaml);
    const { code, output } = await promtool(["check", what, path]);
    await Deno.remove(path);
    assertEquals(code, 0, output);
  }
});

async function promtool(
  args: readonly string[],
  input = "",
): Promise<{ code: number; output: string }> {
  const process = new Deno.Command(peerPath("promtool") ?? "", {
    args: [...args],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = process.stdin.getWriter();
  await writer.write(new TextEncoder().encode(input));
  await writer.close();
  const { code, stdout, stderr } = await process.output();
  const decoder = new TextDecoder();
  return { code, output: decoder.decode(stdout) + decoder.decode(stderr) };
}

peerTest("Prometheus scrapes the metrics", ["prometheus"], async () => {
  await using work = await makePool();
  const { host } = new URL(await urlOfMetrics(work));
  const port = freePort();
  const path = work.path("prometheus.yml");
  await Deno.writeTextFile(
    path,
    "global: {scrape_interval: 1s, scrape_timeout: 1s}\n" +
      "scrape_configs:\n  - job_name: virstor\n    static_configs:\n" +
      `      - targets: ["${host}"]\n`,
  );
  const process = new Deno.Command(peerPath("prometheus") ?? "", {
    args: [
      `--config.file=${path}`,
      `--storage.tsdb.path=${work.path("tsdb")}`,
      `--web.listen-address=127.0.0.1:${port}`,
    ],
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  try {
    const query = async (text: string): Promise<Result[]> => {
      const url = new URL(`http://127.0.0.1:${port}/api/v1/query`);
      url.searchParams.set("query", text);
      try {
        const response = await fetch(url);
        return (await response.json()).data?.result ?? [];
      } catch {
        return []; // It does not listen yet.
      }
    };
    await eventually(
      "it has scraped",
      async () => (await query("up == 1")).length === 1,
      100,
    );
    const free = await query('virstor_component_chunks{state="free"}');
    assertEquals(
      free.map(({ metric, value }) => [metric["component"], value[1]])
        .toSorted(),
      [[work.path('a "\\'), "6"], [work.path("ä"), "6"]],
    );
    const types = await fetch(`http://127.0.0.1:${port}/api/v1/metadata`);
    const { data } = await types.json();
    assertEquals(data.virstor_nbd_requests_total?.[0]?.type, "counter");
    assertEquals(data.virstor_pool_chunks?.[0]?.type, "gauge");
    const duration = "virstor_nbd_request_duration_seconds";
    assertEquals(data[duration]?.[0]?.type, "histogram");
    const counts = await query(`${duration}_count{command="read"}`);
    assertEquals(counts.map(({ value }) => value[1]), ["0"]);
  } finally {
    process.kill("SIGKILL");
    await process.status;
  }
});

/** A series in the answer to a query. */
interface Result {
  readonly metric: Readonly<Record<string, string>>;
  /** The time, and the value. */
  readonly value: readonly [number, string];
}
