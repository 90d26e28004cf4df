/**
 * Serves volumes, with one call.
 *
 * @module
 */

import { exportOf, type ExportSource } from "./export_of.ts";
import {
  type Address,
  DEFAULT_ADDRESS,
  nbdUri,
  openListener,
} from "./listen/mod.ts";
import type { NbdEvent, NbdExport } from "./server/export/mod.ts";
import { type NbdCloseOptions, NbdServer } from "./server/mod.ts";
import { trackDescriptors } from "./server/stream/mod.ts";
import type { NbdTls } from "./server/tls/mod.ts";
import type { NbdLimits } from "./wire/mod.ts";

/** By default, the number of threads that serve clients, one each. */
export const DEFAULT_THREADS = 4;

/** What to serve, and where. */
export interface ServeOptions {
  /** A volume, or any other block device with a name. */
  readonly volume?: ExportSource;
  /** More exports. The first export is what a client without a name gets. */
  readonly exports?: readonly NbdExport[];
  /**
   * Where to listen: the path of a Unix socket, or a TCP address, in which port
   * 0 stands for any free one. Default: port 10809 of this machine only.
   */
  readonly listen?: Address;
  /** Whether and how connections are encrypted. Default: never. */
  readonly tls?: NbdTls;
  /** Limits other than `DEFAULT_LIMITS`. */
  readonly limits?: Partial<NbdLimits>;
  /**
   * Threads that serve clients, one each; the event loop serves the others.
   * Default: 4.
   */
  readonly threads?: number;
  /** Receives the events of the server. */
  readonly onEvent?: (event: NbdEvent) => void;
}

/** A server that listens. */
export class Served {
  /** The server: its clients, its counters. */
  readonly server: NbdServer;
  /** The URI of each export, in their order. */
  readonly uris: readonly string[];

  /**
   * Takes a server that listens over.
   *
   * @internal
   * @param server The server.
   * @param uris The URIs of its exports.
   */
  constructor(server: NbdServer, uris: readonly string[]) {
    this.server = server;
    this.uris = uris;
  }

  /** The URI of the first export. */
  get uri(): string {
    return this.uris[0] ?? "";
  }

  /**
   * Resolves when the server is closed. Rejects with an error that was not
   * expected, after which the process should stop.
   */
  get finished(): Promise<void> {
    return this.server.finished;
  }

  /**
   * Stops listening, answers the requests in flight and disconnects clients.
   * The volumes stay open.
   *
   * @param options How long requests in flight may take.
   */
  close(options: NbdCloseOptions = {}): Promise<void> {
    return this.server.close(options);
  }

  /** Closes the server, at the end of an `await using` block. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/**
 * Serves a volume, or any other block device, to NBD clients.
 *
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { MemoryDevice } from "@virstor/virstor/device";
 * import { exportOf, NbdDisk, serve } from "@virstor/virstor/nbd";
 *
 * const disk = new MemoryDevice(2 ** 20);
 * await using served = await serve({
 *   exports: [exportOf(disk, { name: "ram" })],
 *   listen: { hostname: "127.0.0.1", port: 0 },
 * });
 * await using remote = await NbdDisk.connect(served.uri);
 * assertEquals(remote.size, 2 ** 20);
 * ```
 *
 * @param options What to serve, and where.
 * @returns The server, which listens. Close it before the volumes.
 * @throws {VirstorError} `busy` if another server listens there, `exists` if
 *   the path leads to a file that is no socket, `invalid`, `io`.
 */
export async function serve(options: ServeOptions): Promise<Served> {
  const { volume, listen = DEFAULT_ADDRESS, tls, limits, onEvent } = options;
  const exports = [
    ...volume === undefined ? [] : [exportOf(volume)],
    ...options.exports ?? [],
  ];
  const { listener, address = listen } = await openListener(listen);
  const server = new NbdServer({
    exports,
    threads: options.threads ?? DEFAULT_THREADS,
    ...tls !== undefined && { tls },
    ...limits !== undefined && { limits },
    ...onEvent !== undefined && { log: onEvent },
  });
  server.serve(trackDescriptors(listener));
  const encrypted = tls?.required ?? false;
  const uris = exports.map(({ name }) => nbdUri(address, name, { encrypted }));
  return new Served(server, uris);
}
