/**
 * The native calls on connections, opened once for each thread.
 *
 * @module
 */

import { NativeConnections } from "./native_connections.ts";
import { NativeSockets } from "./native_sockets.ts";

/** The native calls on connections. */
export interface SocketCalls {
  /** Receives and sends. */
  readonly sockets: NativeSockets;
  /** Finds descriptors. */
  readonly connections: NativeConnections;
}

let calls: SocketCalls | null | undefined;

/**
 * Opens the calls.
 *
 * @returns Null without FFI, or on another system.
 */
export function socketCalls(): SocketCalls | null {
  if (calls !== undefined) return calls;
  calls = null;
  if (Deno.build.os !== "linux") return calls;
  try {
    calls = {
      sockets: new NativeSockets(),
      connections: new NativeConnections(),
    };
  } catch {
    // Not permitted, or another C library: everything works without them.
  }
  return calls;
}
