/**
 * Where a pool is served, and the URI that clients are given.
 *
 * @module
 */

import { resolve } from "node:path";
import { UsageError } from "../terminal/mod.ts";

/** A TCP address, or the path of a Unix socket. */
export type Address =
  | { readonly hostname: string; readonly port: number }
  | { readonly path: string };

/** Where a pool is served unless told otherwise: NBD's port, this machine. */
export const DEFAULT_ADDRESS: Address = { hostname: "127.0.0.1", port: 10809 };

/** The highest port of TCP. */
const PORT_MAX = 65_535;

/**
 * Reads a TCP address.
 *
 * @param text `HOST:PORT`, `[IPV6]:PORT`, or a port of this machine only.
 * @returns The address; port 0 stands for any free one.
 * @throws {UsageError} If it is none.
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
 * The NBD URI of a pool, as clients take it.
 *
 * @param address Where it is served, with the real port.
 * @param name The pool's name.
 * @param options Whether clients have to encrypt; they do not by default.
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
  // What listens everywhere is reached here too.
  if (["127.0.0.1", "0.0.0.0", "::"].includes(hostname)) return "localhost";
  return hostname.includes(":") ? `[${hostname}]` : hostname;
}

/**
 * Tells whether only this machine can reach an address.
 *
 * @param address The address.
 * @returns False if others may.
 */
export function isLocal(address: Address): boolean {
  return "path" in address || address.hostname === "localhost" ||
    address.hostname === "::1" || address.hostname.startsWith("127.");
}
