/**
 * Which descriptors the connections of a listener have, as far as it is sure.
 *
 * The runtime does not tell. But after an accept exactly one socket of the
 * listener is new, if nobody has accepted the next one yet. Should there ever
 * be another number of them, somebody has, and nothing that is found later can
 * be trusted: from then on nothing is told of this listener's connections.
 * Clients that come in floods are not looked at, nor is the next one then.
 *
 * @module
 */

import { NativeSockets } from "../../../device/linux/mod.ts";
import { SEND_BUFFER_SIZE } from "../../wire/mod.ts";
import { isTcp } from "./stream.ts";

/** So many connections in a row are looked at, */
const LOOKS_MAX = 64;
/** and then one in so many milliseconds. */
const LOOK_EVERY_MS = 50;

const descriptors = new WeakMap<object, number>();
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
 * that they can be served by threads of their own, and more of what is sent on
 * a Unix socket leaves at once.
 *
 * @param listener What the runtime gave, with nothing in between.
 * @returns What to use instead of it.
 */
export function trackDescriptors(listener: Deno.Listener): Deno.Listener {
  const native = nativeSockets();
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
 * @param connection It was accepted from a listener that is tracked.
 * @returns Its number, or undefined if that is not known.
 */
export function descriptorOf(connection: object): number | undefined {
  return descriptors.get(connection);
}

/**
 * Tells whether the system holds nothing of a connection: neither what came and
 * was not received nor, for TCP, what was sent and has not arrived.
 *
 * @param connection Something that was accepted, and is open.
 * @returns True also where that is not known.
 */
export function isDrained(connection: object): boolean {
  const [descriptor, native] = [descriptors.get(connection), nativeSockets()];
  return descriptor === undefined || native === null ||
    native.isDrained(descriptor, isTcp(connection as Deno.Conn));
}

/** What is known of a listener's connections. */
class Watch {
  readonly #native: NativeSockets;
  /** Somebody accepts ahead: nothing can be told any more. */
  #isLost = false;
  /** There were connections that nobody has looked at. */
  #isBehind = false;
  #looks = LOOKS_MAX;
  #countedAt = performance.now();

  constructor(native: NativeSockets) {
    this.#native = native;
  }

  accepted(connection: Deno.Conn): void {
    if (this.#isLost) return;
    if (!this.#mayLook()) {
      this.#isBehind = true;
      return;
    }
    const { localAddr: local, remoteAddr: remote } = connection;
    const [descriptor, ...others] = this.#native.findNew({
      local: "path" in local ? local.path : local.port,
      remotePort: "path" in remote ? undefined : remote.port,
    });
    // Whose client has gone has no port at the other end any more.
    const isGone = descriptor === undefined && !("path" in remote);
    if (this.#isBehind) this.#isBehind = false;
    else if (isGone) return;
    else if (descriptor === undefined || others.length > 0) this.#isLost = true;
    else {
      descriptors.set(connection, descriptor);
      if (!("path" in local)) return;
      this.#native.setSendBuffer(descriptor, SEND_BUFFER_SIZE);
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
