/**
 * Servers whose connections are tracked, and clients in a thread of their own,
 * for the length of a test.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import type { BlockDevice } from "../../../device/block/block_device.ts";
import {
  type NbdEvent,
  NbdServer,
  type NbdServerOptions,
} from "../../../nbd/mod.ts";
import { trackDescriptors } from "../../../nbd/server/stream/mod.ts";
import type { NbdAddress } from "../../helpers/nbd_client.ts";
import { makeScratch } from "../../helpers/scratch.ts";
import type { QuickJob, QuickReport } from "./quick_client.ts";
import { exportOf } from "./serving.ts";

/** How the runtime was asked to transfer by connections of a listener. */
export interface Calls {
  reads: number;
  writes: number;
}

/** A server whose connections are tracked. */
export interface TrackedServing extends AsyncDisposable {
  server: NbdServer;
  address: NbdAddress;
  log: NbdEvent[];
  calls: Calls;
  /** Runs {@linkcode QuickJob} in a thread of its own. */
  hire(job: Omit<QuickJob, "address">): Promise<QuickReport>;
}

/**
 * Listens on a socket.
 *
 * @param tcp Whether over TCP, in place of a Unix socket.
 * @returns The listener, and where it listens.
 */
export async function listen(
  tcp: boolean,
): Promise<AsyncDisposable & { listener: Deno.Listener; address: NbdAddress }> {
  if (tcp) {
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const address = { port: listener.addr.port };
    return {
      listener,
      address,
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
  }
  const scratch = await makeScratch();
  const path = scratch.file("socket");
  const listener = Deno.listen({ transport: "unix", path });
  const address = { path };
  const dispose = () => scratch[Symbol.asyncDispose]();
  return { listener, address, [Symbol.asyncDispose]: dispose };
}

/** Counts what the runtime is asked for. */
function counted(listener: Deno.Listener, calls: Calls): Deno.Listener {
  const accept = async () => {
    const connection = await listener.accept();
    const { read, write } = connection;
    connection.read = (target) => {
      calls.reads++;
      return read.call(connection, target);
    };
    connection.write = (source) => {
      calls.writes++;
      return write.call(connection, source);
    };
    return connection;
  };
  const close = () => listener.close();
  return { addr: listener.addr, accept, close } as Deno.Listener;
}

/**
 * Serves a device as "disk" so that the descriptors are known.
 *
 * @param tcp Whether over TCP, in place of a Unix socket.
 * @param device What is served.
 * @param options How.
 * @returns The server; disposing stops it.
 */
export async function serveTracked(
  tcp: boolean,
  device: BlockDevice,
  options: Partial<NbdServerOptions> = {},
): Promise<TrackedServing> {
  const place = await listen(tcp);
  const calls = { reads: 0, writes: 0 };
  const log: NbdEvent[] = [];
  const server = new NbdServer({
    exports: [exportOf(device)],
    log: (event) => log.push(event),
    ...options,
  });
  server.serve(trackDescriptors(counted(place.listener, calls)));
  return {
    server,
    address: place.address,
    log,
    calls,
    hire: (job) => hire({ ...job, address: place.address }),
    async [Symbol.asyncDispose]() {
      await server.close({ graceMs: 0 });
      await place[Symbol.asyncDispose]();
    },
  };
}

/**
 * Runs a client in a thread of its own.
 *
 * @param job What it does.
 * @returns What became of that.
 */
export async function hire(job: QuickJob): Promise<QuickReport> {
  const module = new URL("./quick_client.ts", import.meta.url);
  const worker = new Worker(module, { type: "module" });
  try {
    return await new Promise((resolve, reject) => {
      worker.onmessage = ({ data }: MessageEvent<QuickReport>) => resolve(data);
      worker.onerror = (event) => {
        event.preventDefault();
        reject(new Error(event.message));
      };
      worker.postMessage(job);
    });
  } finally {
    worker.terminate();
  }
}

/**
 * Tells long pieces of memory apart, faster than `assertEquals`.
 *
 * @param one Some bytes.
 * @param other Others.
 * @returns Whether they are the same.
 */
export function isSame(one: Uint8Array, other: Uint8Array): boolean {
  return Buffer.compare(one, other) === 0;
}
