/**
 * The addresses that users name in options.
 *
 * @module
 */

import type { Address } from "../../nbd/listen/mod.ts";
import { UsageError } from "../terminal/mod.ts";

/** The highest port of TCP. */
const PORT_MAX = 65_535;

/**
 * Reads a TCP address.
 *
 * @param text `HOST:PORT`, `[IPV6]:PORT`, or a port of this machine only.
 * @returns The address; port 0 selects any free port.
 * @throws {UsageError} If the text is not an address.
 */
export function parseListenAddress(text: string): Address {
  const match = /^(?:\[([0-9A-Fa-f:.%]+)\]:|([^:[\]/\s]+):)?(\d+)$/
    .exec(text);
  const [, inBrackets, plain, digits] = match ?? [];
  const port = Number(digits);
  if (match === null) {
    throw new UsageError(
      `Cannot listen on "${text}": it is no HOST:PORT`,
      "For instance 127.0.0.1:10809, [::1]:10809 or localhost:0",
    );
  }
  if (port > PORT_MAX) {
    throw new UsageError(
      `Cannot listen on "${text}": port ${digits} is out of range`,
      `A port is 0 to ${PORT_MAX}; 0 stands for any free one`,
    );
  }
  return { hostname: inBrackets ?? plain ?? "127.0.0.1", port };
}

/**
 * Reads a TCP address, or the path of a Unix socket.
 *
 * @param text As for {@linkcode parseListenAddress}; with a "/" it is a path.
 * @returns The address.
 * @throws {UsageError} If the text is not an address.
 */
export function parseAddressOrPath(text: string): Address {
  return text.includes("/") ? { path: text } : parseListenAddress(text);
}
