/**
 * The page that Prometheus reads.
 *
 * @module
 */

import { Slice, turns } from "../../device/block/mod.ts";
import type { Page } from "./http_server.ts";
import { LOAD_FAMILIES } from "./load_families.ts";
import { linesOf } from "./metric_family.ts";
import type { MetricsSource } from "./metrics_source.ts";
import { POOLS_FAMILIES } from "./pool_families.ts";
import { SERVER_FAMILIES } from "./server_families.ts";
import { sharedPage } from "./shared_page.ts";

/** The type of the content. */
const TYPE = "text/plain; version=0.0.4; charset=utf-8";
/** The pause between two makings of the page, milliseconds. */
const PAUSE_MS = 100;
/** Lines between two looks at the clock. */
const LINES_A_LOOK = 64;

/** The owner of the turns that the making of a page takes. */
const MAKING = {};

/**
 * Prepares the page of metrics, which requests of the same time share.
 *
 * @param gather Gathers the figures.
 * @returns A function that makes the page; it throws what `gather` throws.
 */
export function metricsPage(
  gather: () => Promise<MetricsSource>,
): () => Promise<Page> {
  return sharedPage(async () => await makePage(await gather()), PAUSE_MS);
}

async function makePage(source: MetricsSource): Promise<Page> {
  const families = [
    ...SERVER_FAMILIES,
    ...POOLS_FAMILIES,
    ...LOAD_FAMILIES,
  ];
  const slice = new Slice(LINES_A_LOOK);
  slice.begin();
  const lines: string[] = [];
  for (const line of linesOf(families, source)) {
    lines.push(line);
    if (!slice.spend(1)) continue;
    await turns.next(MAKING);
    slice.begin();
  }
  return { type: TYPE, body: new TextEncoder().encode(lines.join("")) };
}
