/**
 * A small HTTP server, and what it shows of a server of pools.
 *
 * @module
 */

export { HttpServer } from "./http_server.ts";
export { metricsPage } from "./metrics_page.ts";
export type { MetricsSource, PoolFigures } from "./metrics_source.ts";
