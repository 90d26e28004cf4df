/**
 * The files of the page: HTML, CSS and modules as they are served. They are
 * part of the program, and ask for nothing from elsewhere.
 *
 * @module
 */

import html from "./page/index.html" with { type: "text" };
import css from "./page/page.css" with { type: "text" };
import main from "./page/main.js" with { type: "text" };
import change from "./page/change.js" with { type: "text" };
import charts from "./page/charts.js" with { type: "text" };
import chunkMap from "./page/chunk_map.js" with { type: "text" };
import figures from "./page/figures.js" with { type: "text" };
import tables from "./page/tables.js" with { type: "text" };
import icon from "./page/icon.svg" with { type: "text" };
import type { MakePage } from "./http_server.ts";

const SCRIPT = "text/javascript; charset=utf-8";

/** The texts and their types, by path. */
const FILES: Readonly<Record<string, readonly [type: string, text: string]>> = {
  "/": ["text/html; charset=utf-8", html],
  "/page.css": ["text/css; charset=utf-8", css],
  "/main.js": [SCRIPT, main],
  "/change.js": [SCRIPT, change],
  "/charts.js": [SCRIPT, charts],
  "/chunk_map.js": [SCRIPT, chunkMap],
  "/figures.js": [SCRIPT, figures],
  "/tables.js": [SCRIPT, tables],
  "/icon.svg": ["image/svg+xml", icon],
};

/**
 * Fields of every answer: the browser runs and loads nothing that this server
 * did not send, shows the page in no other one, and keeps no copy.
 */
export const PAGE_FIELDS: readonly string[] = [
  "content-security-policy: default-src 'none'; script-src 'self'; " +
  "style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; " +
  "form-action 'none'; frame-ancestors 'none'",
  "x-content-type-options: nosniff",
  "referrer-policy: no-referrer",
  "cross-origin-opener-policy: same-origin",
  "cross-origin-resource-policy: same-origin",
  "cache-control: no-store",
];

/**
 * The files, as pages of a server.
 *
 * @returns The functions that make the pages, by path.
 */
export function pageFiles(): Map<string, MakePage> {
  return new Map(
    Object.entries(FILES).map(([path, [type, text]]) => {
      const page = { type, body: new TextEncoder().encode(text) };
      return [path, () => Promise.resolve(page)];
    }),
  );
}
