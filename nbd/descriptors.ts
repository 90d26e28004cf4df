/**
 * Which descriptors the connections of a listener have, as far as it is sure.
 *
 * The runtime does not tell. But after an accept exactly one socket of the
 * listener is new, if nobody has accepted the next one yet. Should there ever
 * be another number of them, somebody has, and nothing that is found later can
 * be trusted: from then on nothing is told of this listener's connections.
 *
 * @module
 */

import { NativeSockets } from "../device/mod.ts";

const descriptors = new WeakMap<Deno.Conn, number>();
let sockets: NativeSockets | null | undefined;

/**
 * Sockets by their descriptors.
 *
 * @returns Null without FFI, or on another system.
 */
export function nativeSockets(): NativeSockets | null {
  if (sockets !== undefined) return sockets;
  sockets = null;
  if (Deno.build.os !== "linux") return sockets;
  try {
    sockets = new NativeSockets();
  } catch {
    // Not permitted, or another C library: everything works without them.
  }
  return sockets;
}

/**
 * Finds out the descriptors of all connections of a listener from now on, so
 * that they can be served by threads of their own.
 *
 * @param listener What the runtime gave, with nothing in between.
 * @returns What to use instead of it.
 */
export function trackDescriptors(listener: Deno.Listener): Deno.Listener {
  const native = nativeSockets();
  if (native === null) return listener;
  let isTrusted = true;
  const accept = async () => {
    const connection = await listener.accept();
    if (isTrusted) isTrusted = note(native, connection);
    return connection;
  };
  const close = () => listener.close();
  return { addr: listener.addr, accept, close } as Deno.Listener;
}

/**
 * The descriptor of a connection.
 *
 * @param connection It was accepted from a listener that is tracked.
 * @returns Its number, or undefined if that is not known.
 */
export function descriptorOf(connection: Deno.Conn): number | undefined {
  return descriptors.get(connection);
}

/** Returns false if it is not sure. */
function note(native: NativeSockets, connection: Deno.Conn): boolean {
  const { localAddr: local, remoteAddr: remote } = connection;
  const [descriptor, ...others] = native.findNew({
    local: "path" in local ? local.path : local.port,
    remotePort: "path" in remote ? undefined : remote.port,
  });
  if (descriptor === undefined || others.length > 0) return false;
  descriptors.set(connection, descriptor);
  return true;
}
