/**
 * How much a page of metrics may cost.
 *
 * @module
 */
import { assert, assertEquals, assertExists, assertRejects } from "@std/assert";
import { metricsPage } from "../../../cli/http/metrics_page.ts";
import { type Family, linesOf } from "../../../cli/http/metric_family.ts";
import type { MetricsSource } from "../../../cli/http/metrics_source.ts";
import { turns } from "../../../device/block/mod.ts";
import {
  createCounters,
  RequestTimes,
} from "../../../nbd/server/export/mod.ts";
import { labelPool, openPool, type PoolStatus } from "../../../pool/mod.ts";
import { COMMAND_READ } from "../../../nbd/wire/mod.ts";
import { newCounters } from "../../../pool/core/mod.ts";
import { makeScratch } from "../../helpers/scratch.ts";

/** The status of a real pool. */
async function statusOfPool(): Promise<PoolStatus> {
  await using scratch = await makeScratch();
  const paths = [`${scratch.path}/a`];
  await labelPool({ name: "demo", paths, createSize: 2 ** 26 });
  await using pool = await openPool(paths);
  return pool.status();
}

/** One read has taken a microsecond. */
function busyTimes(): RequestTimes {
  const times = new RequestTimes();
  times.of(COMMAND_READ).note(0.001);
  return times;
}

/** The figures of a pool with many volumes. */
async function sourceOf(volumeCount: number): Promise<MetricsSource> {
  const status = await statusOfPool();
  const [first] = status.volumes;
  assertExists(first);
  const volumes = Array.from({ length: volumeCount }, (_, index) => ({
    ...first,
    name: `v${index}`,
    size: 2 ** 30,
    mappedChunks: index,
    snapshots: [],
  }));
  return {
    counters: createCounters(),
    load: {
      times: new RequestTimes(),
      byExport: new Map(volumes.map(({ name }) => [name, busyTimes()])),
      inFlight: new Map(),
    },
    clients: [],
    pools: [{
      status: { ...status, volumes },
      counters: volumes.map(() => newCounters()),
      disks: [],
      exports: volumes.map(({ name }) => ({ name, connections: 0 })),
    }],
  };
}

Deno.test("linesOf() escapes what labels and help texts may not hold", () => {
  const family: Family<string> = {
    name: "n",
    type: "gauge",
    help: 'a "b"\n\\',
    samples: (text) => [[{ x: text, y: "" }, 1.5], [{}, 1e21]],
  };
  assertEquals([
    ...linesOf([family, { ...family, samples: () => [] }], '"\n\\'),
  ], [
    '# HELP n a "b"\\n\\\\\n# TYPE n gauge\n' + 'n{x="\\"\\n\\\\",y=""} 1.5\n',
    "n 1e+21\n",
  ]);
});

Deno.test("metricsPage() makes one page for requests of the same time", async () => {
  const source = await sourceOf(1);
  let gathered = 0;
  const page = metricsPage(() => {
    gathered++;
    return Promise.resolve(source);
  });
  const pages = await Promise.all(Array.from({ length: 20 }, page));
  assertEquals([gathered, new Set(pages).size], [1, 1]);
  const first = page();
  // The figures for the first are gathered: the next request needs newer ones.
  while (gathered === 1) await new Promise((done) => setTimeout(done));
  const [a, b, c] = await Promise.all([first, page(), page()]);
  assertEquals([gathered, a === b, b === c], [3, false, true]);
});

Deno.test("metricsPage() makes the next page after one that failed", async () => {
  const source = await sourceOf(1);
  let fails = true;
  const page = metricsPage(() =>
    fails ? Promise.reject(new Error("No figures")) : Promise.resolve(source)
  );
  await assertRejects(page, Error, "No figures");
  fails = false;
  assert((await page()).body.length > 1000);
});

Deno.test("metricsPage() is bounded in length, and takes turns", async () => {
  const source = await sourceOf(20_000);
  let isMade = false;
  let others = 0;
  const page = metricsPage(() => Promise.resolve(source))();
  const made = page.finally(() => isMade = true);
  while (!isMade) {
    await turns.next(source);
    others++;
  }
  const text = new TextDecoder().decode((await made).body);
  assertEquals(text.match(/^virstor_volume_size_bytes\{/gm)?.length, 1000);
  assertEquals(text.match(/^virstor_export_connections\{/gm)?.length, 1000);
  const histograms = /^virstor_export_request_duration_seconds_count\{/gm;
  assertEquals(text.match(histograms)?.length, 100);
  assert(text.includes('virstor_pool_volumes{pool="demo"} 20000\n'));
  assert(others > 1, "Other work had its turns");
});
