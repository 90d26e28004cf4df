/**
 * A small HTTP server, and what it shows of a server of pools: metrics, and a
 * page for a browser.
 *
 * @module
 */

export { HttpServer } from "./http_server.ts";
export type { HttpStatus, MakePage, Page } from "./http_server.ts";
export { LoadHistory } from "./load_history.ts";
export { metricsPage } from "./metrics_page.ts";
export type { MetricsSource, PoolFigures } from "./metrics_source.ts";
export { PAGE_FIELDS, pageFiles } from "./page_files.ts";
export { localGuard, pageGuard } from "./page_guard.ts";
export { jsonPage, pageStatus } from "./page_status.ts";
export type { PageEvent } from "./page_status.ts";
export type { RequestHead } from "./request_head.ts";
export { sharedPage } from "./shared_page.ts";
