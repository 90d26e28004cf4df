/**
 * Serves a device over a real socket for the length of a test.
 *
 * @module
 */

import { MemoryDevice } from "../../../device/block/memory_device.ts";
import type { BlockDevice } from "../../../device/block/block_device.ts";
import {
  type NbdEvent,
  type NbdExport,
  NbdServer,
  type NbdServerOptions,
} from "../../../nbd/mod.ts";
import {
  type Dialect,
  type NbdAddress,
  NbdClient,
} from "../../helpers/nbd_client.ts";
import { eventually } from "../../helpers/patience.ts";

/** Bytes after which a {@linkcode pattern} begins anew. */
const PERIOD = 64 * 1024;

/** A server, its socket, and what it said. */
export interface Serving extends AsyncDisposable {
  /** The server. */
  server: NbdServer;
  /** Where it listens. */
  address: NbdAddress;
  /** What it logged, but for clients that have just come. */
  events: NbdEvent[];
  /**
   * Connects and uses the first export.
   *
   * @param dialect How to talk; `simple` by default.
   */
  open(dialect?: Dialect): Promise<NbdClient>;
  /**
   * Connects, selects metadata contexts and uses the first export.
   *
   * @param dialect How to talk.
   * @param queries The contexts.
   * @returns The client, and the ids of the contexts by name.
   */
  select(
    dialect: Dialect,
    queries: string[],
  ): Promise<{ client: NbdClient; ids: Map<string, number> }>;
  /** Connects and takes the greeting. */
  greeted(): Promise<NbdClient>;
}

/** How to serve. */
export interface ServeOptions extends Partial<NbdServerOptions> {
  /** What is served under the name "disk"; 1 MiB of memory by default. */
  device?: BlockDevice;
  /** A TCP socket in place of a Unix socket. */
  tcp?: boolean;
}

/**
 * Starts a server.
 *
 * @param options What and how.
 * @returns The server; disposing stops it.
 */
export async function serve(options: ServeOptions = {}): Promise<Serving> {
  const folder = await Deno.makeTempDir({ prefix: "virstor-nbd-" });
  const path = `${folder}/nbd.sock`;
  const listener = options.tcp
    ? Deno.listen({ hostname: "127.0.0.1", port: 0 })
    : Deno.listen({ transport: "unix", path });
  const address: NbdAddress = listener.addr.transport === "tcp"
    ? { port: listener.addr.port }
    : { path };
  const events: NbdEvent[] = [];
  const device = options.device ?? new MemoryDevice(1024 * 1024);
  const server = new NbdServer({
    exports: options.exports ?? [exportOf(device)],
    log: (event) => {
      if (event.kind !== "accepted") events.push(event);
    },
    ...(options.limits === undefined ? {} : { limits: options.limits }),
    ...(options.tls === undefined ? {} : { tls: options.tls }),
  });
  server.serve(listener);
  return {
    server,
    address,
    events,
    open: (dialect) => NbdClient.open(address, "disk", dialect),
    async select(dialect, queries) {
      const client = await NbdClient.connect(address);
      await client.greet();
      await client.speak(dialect);
      const ids = await client.contexts("disk", queries);
      await client.go("disk");
      return { client, ids };
    },
    async greeted() {
      const client = await NbdClient.connect(address);
      await client.greet();
      return client;
    },
    async [Symbol.asyncDispose]() {
      await server.close({ graceMs: 0 });
      await Deno.remove(folder, { recursive: true });
    },
  };
}

/**
 * A device as an export.
 *
 * @param device The device.
 * @param changes What is to be different from "disk", writable.
 * @returns The export.
 */
export function exportOf(
  device: BlockDevice,
  changes: Partial<NbdExport> = {},
): NbdExport {
  return {
    name: "disk",
    description: "A disk for tests",
    device,
    readOnly: false,
    ...changes,
  };
}

/**
 * Waits until something holds, or fails after a long time.
 *
 * @param what What is waited for, for the error.
 * @param holds Whether it does.
 */
export function until(what: string, holds: () => boolean): Promise<void> {
  return eventually(what, holds, 2);
}

/**
 * Bytes that differ from place to place.
 *
 * @param length How many.
 * @param seed Which ones.
 * @returns The bytes.
 */
export function pattern(length: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < Math.min(length, PERIOD); i++) {
    bytes[i] = (i * 31 + (i >> 8) + seed) & 255;
  }
  // The same again and again: copied, because that is faster.
  for (let at = PERIOD; at < length; at *= 2) bytes.copyWithin(at, 0, at);
  return bytes;
}
