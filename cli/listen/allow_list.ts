/**
 * Which addresses may connect over TCP.
 *
 * @module
 */

import { BlockList, isIP } from "node:net";
import { UsageError } from "../terminal/mod.ts";

/** Networks whose addresses may connect; all addresses, if there are none. */
export class AllowList {
  // The runtime's list tells only what is in it, whatever it is called.
  readonly #networks = new BlockList();
  readonly #isEmpty: boolean;

  /**
   * Reads the networks.
   *
   * @param networks IPv4 or IPv6, for instance `10.0.0.0/8`, `::1`.
   * @throws {UsageError} If one of them is none.
   */
  constructor(networks: readonly string[]) {
    this.#isEmpty = networks.length === 0;
    for (const text of networks) this.#add(text);
  }

  /**
   * Tells whether a client may stay.
   *
   * @param address Where it comes from.
   * @returns True if it may; a Unix socket has permissions of its own.
   */
  allows(address: Deno.Addr): boolean {
    if (this.#isEmpty || address.transport !== "tcp") return true;
    // A link-local address names its interface after a "%".
    const [host = ""] = address.hostname.split("%");
    return this.#networks.check(host, isIP(host) === 6 ? "ipv6" : "ipv4");
  }

  #add(text: string): void {
    const [, host = "", digits] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
    const version = isIP(host);
    const bits = version === 6 ? 128 : 32;
    const prefix = Number(digits ?? bits);
    if (version === 0 || prefix > bits) {
      throw new UsageError(
        `Option --allow needs a network, not "${text}"`,
        "For instance 10.0.0.0/8, 192.168.1.7 or fd00::/8",
      );
    }
    this.#networks.addSubnet(host, prefix, version === 6 ? "ipv6" : "ipv4");
  }
}
