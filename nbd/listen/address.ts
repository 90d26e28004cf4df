/**
 * The addresses of a server, and the NBD URIs of its exports.
 *
 * @module
 */

import { resolve } from "node:path";

/** A TCP address, or the path of a Unix socket. */
export type Address =
  | { readonly hostname: string; readonly port: number }
  | { readonly path: string };

/** The default address: NBD's port, on this machine only. */
export const DEFAULT_ADDRESS: Address = { hostname: "127.0.0.1", port: 10809 };

/**
 * Makes the NBD URI of an export.
 *
 * @param address The server's address, with the real port.
 * @param name The export's name.
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
