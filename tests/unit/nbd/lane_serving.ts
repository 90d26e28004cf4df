/**
 * Serves a real pool over a real socket so that clients have threads of their
 * own, for the length of a test; one more client is on the event loop.
 *
 * @module
 */

import { assert } from "@std/assert";
import {
  type NbdEvent,
  NbdServer,
  type NbdServerOptions,
} from "../../../nbd/mod.ts";
import { trackDescriptors } from "../../../nbd/server/stream/mod.ts";
import { nativeSockets } from "../../../nbd/server/stream/descriptors.ts";
import type { LabelOptions, PoolOptions } from "../../../pool/mod.ts";
import { PoolLeases } from "../../../pool/io/pool_leases.ts";
import { newCounters, type PoolCounters } from "../../../pool/core/counters.ts";
import {
  type Dialect,
  type NbdAddress,
  NbdClient,
} from "../../helpers/nbd_client.ts";
import {
  componentSize,
  makeScratch,
  openSmallPool,
  type SmallPool,
} from "../../helpers/scratch.ts";
import { exportOf, until } from "./serving.ts";
import { PATIENCE_MS } from "../../helpers/patience.ts";

// The C library stays open for ever: not from within a test.
nativeSockets();

/** What says that a client has a thread. */
const OWN_THREAD = "on a thread of its own";

/** How to serve. */
export interface LaneServeOptions extends Partial<NbdServerOptions> {
  /** How the pool is labelled and opened. */
  pool?: Partial<LabelOptions> & PoolOptions;
  /** Components; 2 by default. */
  count?: number;
  /** Chunks of each component; 64 by default. */
  chunks?: number;
  /** The export refuses writes. */
  readOnly?: boolean;
  /** A TCP socket in place of a Unix socket. */
  tcp?: boolean;
  /** No client on the event loop beside those of the test. */
  isEmpty?: boolean;
}

/** A pool, its server, and what they said. */
export interface LaneServing extends AsyncDisposable, SmallPool {
  /** The server. */
  server: NbdServer;
  /** Where it listens. */
  address: NbdAddress;
  /** What it logged. */
  log: NbdEvent[];
  /** A client that the event loop serves. */
  first: NbdClient | undefined;
  /**
   * Connects, uses the export, and fails unless a thread serves it.
   *
   * @param dialect How to talk; `simple` by default.
   */
  open(dialect?: Dialect): Promise<NbdClient>;
  /** The same, if it may be the event loop that serves it. */
  openAny(
    dialect?: Dialect,
  ): Promise<{ client: NbdClient; hasThread: boolean }>;
  /** What the threads have done for the pool. */
  leased(): PoolCounters;
  /** A path in a directory that is gone after the test. */
  file(name: string): string;
}

function listenOn(
  tcp: boolean,
  path: string,
): { listener: Deno.Listener; address: NbdAddress } {
  if (!tcp) {
    return {
      listener: Deno.listen({ transport: "unix", path }),
      address: { path },
    };
  }
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return { listener, address: { port: listener.addr.port } };
}

/**
 * Makes a pool and serves it.
 *
 * @param options What and how.
 * @returns It; disposing stops the server and the pool.
 */
export async function serveOnLanes(
  options: LaneServeOptions = {},
): Promise<LaneServing> {
  const { count = 2, chunks = 64, readOnly = false, isEmpty = false } = options;
  const scratch = await makeScratch();
  const small = await openSmallPool(scratch, count, {
    format: "native",
    createSize: componentSize("native", chunks),
    ...options.pool,
  });
  const { pool } = small;
  const path = scratch.file("nbd.sock");
  const { listener, address } = listenOn(options.tcp === true, path);
  const log: NbdEvent[] = [];
  const server = new NbdServer({
    threads: 2,
    ...options,
    exports: options.exports ?? [exportOf(pool.volume(), { readOnly })],
    log: (event) => log.push(event),
  });
  server.serve(trackDescriptors(listener));
  // Its descriptors are not known: the event loop serves its connections.
  const loopPath = scratch.file("loop.sock");
  server.serve(Deno.listen({ transport: "unix", path: loopPath }));
  const connected = () => log.filter(({ kind }) => kind === "connected");
  let clients = 0;
  const openAny = async (dialect?: Dialect, at = address) => {
    const client = await NbdClient.open(at, "disk", dialect);
    clients++;
    await until("connected", () => connected().length === clients);
    const hasThread = connected().at(-1)?.message.includes(OWN_THREAD) === true;
    return { client, hasThread };
  };
  let first: NbdClient | undefined;
  if (!isEmpty) {
    const opened = await openAny("simple", { path: loopPath });
    assert(!opened.hasThread, "the event loop serves the first client");
    first = opened.client;
  }
  return {
    ...small,
    server,
    address,
    log,
    first,
    openAny: (dialect) => openAny(dialect),
    file: scratch.file,
    async open(dialect) {
      const { client, hasThread } = await openAny(dialect);
      assert(hasThread, "a thread serves this client");
      return client;
    },
    leased() {
      const counters = newCounters();
      const { leases } = pool.volume();
      assert(leases instanceof PoolLeases);
      leases.addWork(counters);
      return counters;
    },
    async [Symbol.asyncDispose]() {
      first?.close();
      await server.close({ graceMs: 0 });
      await pool.close();
      await scratch[Symbol.asyncDispose]();
    },
  };
}

/**
 * Makes sure that chunks are leased: writes to each until a thread has done it
 * by itself.
 *
 * @param serving What serves them.
 * @param client One that has a thread.
 * @param offsets A byte of each chunk; each becomes zero.
 */
export async function lease(
  serving: LaneServing,
  client: NbdClient,
  offsets: readonly number[],
): Promise<void> {
  for (const offset of offsets) {
    const { writes } = serving.leased();
    const deadline = performance.now() + PATIENCE_MS;
    while (serving.leased().writes === writes) {
      assert(performance.now() < deadline, `no lease of byte ${offset}`);
      await client.write(offset, new Uint8Array(1));
    }
  }
}
