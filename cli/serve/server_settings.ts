/**
 * The settings of a server: where it listens, which clients it serves, and when
 * it ends.
 *
 * @module
 */

import type { Address, SocketRights } from "../../nbd/listen/mod.ts";
import { AllowList } from "../listen/mod.ts";
import type { ExtendSettings } from "./extend_option.ts";
import type { Hook } from "./hook_option.ts";
import type { TlsFiles } from "./tls_files.ts";

/** Where a server listens, which clients it serves, and when it ends. */
export interface ServerSettings extends SocketRights {
  /** The addresses to listen on, beside inherited sockets; may be empty. */
  readonly addresses: readonly Address[];
  /** The networks whose clients may connect over TCP. */
  readonly allowed: AllowList;
  /** The certificates for TLS; without them there is no TLS. */
  readonly tls?: TlsFiles;
  /** The most clients at once; 128 by default. */
  readonly maxClients?: number;
  /** Threads for clients, 0 to 64; 4 by default. */
  readonly threads?: number;
  /** Disconnect idle clients after so many milliseconds; never by default. */
  readonly idleMs?: number;
  /** Whether to end when the last client has left. */
  readonly exitOnLastClient: boolean;
  /** The address of the metrics; none by default. */
  readonly metrics?: Address;
  /** The address of the page; none by default. */
  readonly page?: Address;
  /** The token that the figures of the page need; none by default. */
  readonly pageToken?: string;
  /** Whether viewers of the page may change pools; no by default. */
  readonly pageControl?: boolean;
  /** The path of the pid file; none by default. */
  readonly pidFile?: string;
  /** How long requests in flight may hold up the end, milliseconds; 10,000. */
  readonly graceMs?: number;
  /** How long to wait for components that are missing, seconds; 0. */
  readonly waitSeconds?: number;
  /** The programs that run for events. */
  readonly hooks?: readonly Hook[];
  /** When pools are extended; never if absent. */
  readonly extend?: ExtendSettings | undefined;
  /** A shell command to run; the server ends with it. */
  readonly command?: string;
}

/**
 * The default settings of a server on one address.
 *
 * @param address The address.
 * @returns The settings.
 */
export function plainSettings(address: Address): ServerSettings {
  return {
    addresses: [address],
    allowed: new AllowList([]),
    exitOnLastClient: false,
  };
}
