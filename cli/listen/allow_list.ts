/**
 * The networks whose clients may connect over TCP.
 *
 * @module
 */

import { BlockList, isIP } from "node:net";
import { UsageError } from "../terminal/mod.ts";

/** Networks whose addresses may connect; without networks all may. */
export class AllowList {
  // A `BlockList` blocks nothing by itself: `check` tells what is in it.
  readonly #networks = new BlockList();
  readonly #isEmpty: boolean;

  /**
   * Parses the networks.
   *
   * @param networks IPv4 or IPv6, for instance `10.0.0.0/8`, `::1`.
   * @throws {UsageError} If one of them is not a network.
   */
  constructor(networks: readonly string[]) {
    this.#isEmpty = networks.length === 0;
    for (const text of networks) this.#add(text);
  }

  /**
   * Tells whether a client may connect.
   *
   * @param address The client's address.
   * @returns True if it may. Clients of Unix sockets may always: the socket's
   *   permissions decide.
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
