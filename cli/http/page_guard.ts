/**
 * Which requests the page answers. A browser runs the pages of other sites
 * beside this one: one of them may give its own name the address of this
 * machine (DNS rebinding), so a server without a token compares the name that
 * the browser asked for.
 *
 * @module
 */

import { createHash, timingSafeEqual } from "node:crypto";
import type { HttpStatus } from "./http_server.ts";
import type { RequestHead } from "./request_head.ts";

/** Names of this machine that no other site can have. */
const LOCAL_NAMES: ReadonlySet<string> = new Set([
  "localhost",
  "127.0.0.1",
  "[::1]",
]);

/** What a request has to have. */
export interface GuardOptions {
  /**
   * The name of the address that the server listens on; undefined for a Unix
   * socket, which no browser reaches by a name.
   */
  readonly hostname: string | undefined;
  /** The token of requests for figures; undefined if they need none. */
  readonly token: string | undefined;
  /** The beginning of the paths that show figures. */
  readonly guarded: string;
}

/**
 * Prepares the check of requests.
 *
 * @param options What a request has to have.
 * @returns The status to refuse a request with; undefined if it is answered.
 */
export function pageGuard(
  options: GuardOptions,
): (head: RequestHead) => HttpStatus | undefined {
  const { hostname, token, guarded } = options;
  const expected = token === undefined ? undefined : digestOf(token);
  return ({ method, path, fields }) => {
    const isLocalOnly = expected === undefined && hostname !== undefined;
    if (isLocalOnly && !isOwnName(fields.get("host"), hostname)) return 421;
    if (!path.startsWith(guarded)) return undefined;
    // Other sites may link to the page, and may not read from it.
    const site = fields.get("sec-fetch-site");
    const isOwn = site === undefined || site === "same-origin";
    if (site === "cross-site" || (method === "POST" && !isOwn)) return 403;
    if (expected === undefined) return undefined;
    const [, given = ""] = /^Bearer (\S+)$/i
      .exec(fields.get("authorization") ?? "") ?? [];
    // Digests have one length: the comparison takes as long for any token.
    return timingSafeEqual(digestOf(given), expected) ? undefined : 401;
  };
}

/**
 * Prepares the check of requests to a server that only this machine reaches: a
 * browser asks it in the name of another site only for a page of that site.
 *
 * @param hostname The name of the address that the server listens on.
 * @returns The status to refuse a request with; undefined if it is answered.
 */
export function localGuard(
  hostname: string,
): (head: RequestHead) => HttpStatus | undefined {
  return ({ fields }) => {
    const host = fields.get("host");
    // Programs may leave the name out, browsers do not.
    return host === undefined || isOwnName(host, hostname) ? undefined : 421;
  };
}

function digestOf(text: string): Uint8Array {
  return createHash("sha256").update(text).digest();
}

/** Whether a field `host` names this machine, with any port. */
function isOwnName(host: string | undefined, hostname: string): boolean {
  const name = host?.replace(/:\d*$/, "").toLowerCase() ?? "";
  const own = hostname.includes(":") ? `[${hostname}]` : hostname;
  return LOCAL_NAMES.has(name) || name === own.toLowerCase();
}
