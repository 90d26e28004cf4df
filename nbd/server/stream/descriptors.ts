/**
 * The descriptors of the connections of a listener, where they are certain.
 *
 * The runtime does not tell. But after an accept exactly one socket of the
 * listener is new, if nothing has accepted the next one yet. If there is ever
 * another number of them, something has, and nothing that is found later can be
 * trusted: from then on no connection of this listener has a known descriptor.
 * In a flood of clients the server leaves some connections out, and the next
 * one after them, too.
 *
 * @module
 */

import {
  type NativeSockets,
  type SocketCalls,
  socketCalls,
} from "../../../device/linux/mod.ts";
import { LANE_WAIT_MS, SEND_BUFFER_SIZE } from "../../wire/mod.ts";
import { isTcp } from "./stream.ts";

/** Looks in a row that may follow each other at once. */
const LOOKS_MAX = 64;
/** Milliseconds after which one more look is allowed. */
const LOOK_EVERY_MS = 50;

const descriptors = new WeakMap<object, number>();

/**
 * The calls that receive and send on descriptors.
 *
 * @returns Null without FFI, or on another system.
 */
export function nativeSockets(): NativeSockets | null {
  return socketCalls()?.sockets ?? null;
}

/**
 * Takes a connection away from the runtime, for the thread of a lane.
 *
 * *Requires*: the runtime does nothing with the connection but close it.
 *
 * @param descriptor The connection.
 * @returns Whether the connection was taken away; if not, nothing has changed.
 */
export function takeAway(descriptor: number): boolean {
  const connections = socketCalls()?.connections;
  return connections?.takeAway(descriptor, LANE_WAIT_MS) ?? false;
}

/**
 * Finds out the descriptors of all connections that a listener accepts from now
 * on, so that they can have lanes, and gives connections on Unix sockets a
 * larger send buffer.
 *
 * @param listener A listener of the runtime.
 * @returns The listener to use in its place.
 */
export function trackDescriptors(listener: Deno.Listener): Deno.Listener {
  const native = socketCalls();
  if (native === null) return listener;
  const watch = new Watch(native);
  const accept = async () => {
    const connection = await listener.accept();
    watch.accepted(connection);
    return connection;
  };
  const close = () => listener.close();
  return { addr: listener.addr, accept, close } as Deno.Listener;
}

/**
 * The descriptor of a connection.
 *
 * @param connection A connection that a tracked listener has accepted.
 * @returns The descriptor; undefined if it is not known.
 */
export function descriptorOf(connection: object): number | undefined {
  return descriptors.get(connection);
}

/**
 * Finds the process of a client.
 *
 * @param connection A connection that is open.
 * @returns The number of the process; undefined unless the connection is on a
 *   Unix socket, and if its descriptor is not known.
 */
export function peerProcess(connection: Deno.Conn): number | undefined {
  const [descriptor, native] = [descriptors.get(connection), nativeSockets()];
  if (descriptor === undefined || native === null) return undefined;
  return "path" in connection.localAddr
    ? native.peerProcess(descriptor)
    : undefined;
}

/**
 * Tells whether the system holds no bytes of a connection: all that arrived was
 * received and, for TCP, all that was sent has arrived.
 *
 * @param connection An open connection.
 * @returns True also if the descriptor is not known.
 */
export function isDrained(connection: object): boolean {
  const [descriptor, native] = [descriptors.get(connection), nativeSockets()];
  return descriptor === undefined || native === null ||
    native.isDrained(descriptor, isTcp(connection as Deno.Conn));
}

/** Finds the descriptors of one listener's connections. */
class Watch {
  readonly #native: SocketCalls;
  /** Something else accepts, too: no descriptor is certain any more. */
  #isLost = false;
  /** The watch has left out connections since the last look. */
  #isBehind = false;
  #looks = LOOKS_MAX;
  #countedAt = performance.now();

  constructor(native: SocketCalls) {
    this.#native = native;
  }

  accepted(connection: Deno.Conn): void {
    if (this.#isLost) return;
    if (!this.#mayLook()) {
      this.#isBehind = true;
      return;
    }
    const { localAddr: local, remoteAddr: remote } = connection;
    const [descriptor, ...others] = this.#native.connections.findNew({
      local: "path" in local ? local.path : local.port,
      remotePort: "path" in remote ? undefined : remote.port,
    });
    // A connection whose client has gone has no remote port any more.
    const isGone = descriptor === undefined && !("path" in remote);
    if (this.#isBehind) this.#isBehind = false;
    else if (isGone) return;
    else if (descriptor === undefined || others.length > 0) this.#isLost = true;
    else {
      descriptors.set(connection, descriptor);
      if (!("path" in local)) return;
      this.#native.sockets.setSendBuffer(descriptor, SEND_BUFFER_SIZE);
    }
  }

  /** A look takes up to a millisecond: a flood of clients must not cost it. */
  #mayLook(): boolean {
    const now = performance.now();
    const earned = (now - this.#countedAt) / LOOK_EVERY_MS;
    this.#looks = Math.min(LOOKS_MAX, this.#looks + earned);
    this.#countedAt = now;
    if (this.#looks < 1) return false;
    this.#looks--;
    return true;
  }
}
