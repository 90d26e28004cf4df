/**
 * The addresses of a server, and the NBD URIs of its exports.
 *
 * @module
 */

import { resolve } from "node:path";
import { UsageError } from "../terminal/mod.ts";

/** A TCP address, or the path of a Unix socket. */
export type Address =
  | { readonly hostname: string; readonly port: number }
  | { readonly path: string };

/** The default address: NBD's port, on this machine only. */
export const DEFAULT_ADDRESS: Address = { hostname: "127.0.0.1", port: 10809 };

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
 * Makes the NBD URI of a pool.
 *
 * @param address The server's address, with the real port.
 * @param name The pool's name.
 * @param options Whether clients have to use TLS; false by default.
 * @returns For instance `nbd://localhost:10809/demo`.
 */
export function nbdUri(
  address: Address,
  name: string,
  options: { readonly encrypted?: boolean } = {},
): string {
  const scheme = options.encrypted === true ? "nbds" : "nbd";
  const exportName = encodeURIComponent(name);
  if ("path" in address) {
    const path = resolve(address.path).split("/").map(encodeURIComponent);
    return `${scheme}+unix:///${exportName}?socket=${path.join("/")}`;
  }
  return `${scheme}://${
    uriHost(address.hostname)
  }:${address.port}/${exportName}`;
}

function uriHost(hostname: string): string {
  // A socket that listens on all addresses can be reached on this one.
  if (["127.0.0.1", "0.0.0.0", "::"].includes(hostname)) return "localhost";
  return hostname.includes(":") ? `[${hostname}]` : hostname;
}

/**
 * Tells whether only this machine can reach an address.
 *
 * @param address The address.
 * @returns False if other machines may reach it.
 */
export function isLocal(address: Address): boolean {
  return "path" in address || address.hostname === "localhost" ||
    address.hostname === "::1" || address.hostname.startsWith("127.");
}
