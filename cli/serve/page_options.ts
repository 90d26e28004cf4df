/**
 * Reads the options of `virstor serve` for its page.
 *
 * @module
 */

import { messageOf, VirstorError } from "../../errors.ts";
import { type Address, isLocal } from "../../nbd/listen/mod.ts";
import { parseAddressOrPath } from "../listen/mod.ts";
import { type Invocation, UsageError } from "../terminal/mod.ts";

/** A shorter token could be guessed. */
const TOKEN_MIN = 16;

/** Where the page is served, and what its figures need. */
export interface PageSettings {
  /** The address of the page. */
  readonly page?: Address;
  /** The token that requests for figures need. */
  readonly pageToken?: string;
  /** Whether viewers may change pools. */
  readonly pageControl?: boolean;
}

/**
 * Reads the options for the page, and the file of its token.
 *
 * @param invocation The command line.
 * @returns The settings; empty without a page.
 * @throws {UsageError} If the options contradict each other, or if other
 *   machines could read the page without a token.
 * @throws {VirstorError} `not-found`, `io`, `invalid` for the file.
 */
export function pageOptionsOf(invocation: Invocation): PageSettings {
  const address = invocation.value("http");
  const file = invocation.value("http-token-file");
  const pageControl = invocation.flag("http-control");
  if (address === undefined) {
    if (file === undefined && !pageControl) return {};
    const option = file === undefined ? "http-control" : "http-token-file";
    throw new UsageError(
      `Option --${option} needs --http`,
      "For instance --http 127.0.0.1:8080",
    );
  }
  const page = parseAddressOrPath(address);
  if (file !== undefined) {
    return { page, pageToken: readToken(file), pageControl };
  }
  if (pageControl) {
    throw new UsageError(
      "Cannot let the page change pools without a token",
      "Give a file with one, --http-token-file FILE",
    );
  }
  if (isLocal(page)) return { page };
  throw new UsageError(
    `Cannot show the page on ${address} without a token: other machines ` +
      "could read it",
    "Give a file with one, --http-token-file FILE, or listen on 127.0.0.1",
  );
}

function readToken(path: string): string {
  let text: string;
  try {
    text = Deno.readTextFileSync(path).trim();
  } catch (error) {
    const code = error instanceof Deno.errors.NotFound ? "not-found" : "io";
    throw new VirstorError(
      code,
      `Cannot read the token of the page from "${path}": ${messageOf(error)}`,
      { cause: error },
    );
  }
  if (/^[!-~]+$/.test(text) && text.length >= TOKEN_MIN) return text;
  throw new VirstorError(
    "invalid",
    `Cannot use the token of the page in "${path}": it needs at least ` +
      `${TOKEN_MIN} printable ASCII characters without spaces, for instance ` +
      'of "openssl rand -hex 16"',
  );
}
