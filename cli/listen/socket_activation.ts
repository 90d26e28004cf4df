/**
 * Sockets that a service manager has opened, by systemd's protocol:
 * `LISTEN_PID` is the process that they are for, `LISTEN_FDS` their number,
 * from descriptor 3 on.
 *
 * @module
 */

import type { Address, OpenListener } from "../../nbd/listen/mod.ts";
import { readVariable } from "../terminal/mod.ts";
import { inheritListener } from "./inherited_listener.ts";

/** The first inherited descriptor. */
const FIRST_DESCRIPTOR = 3;

/**
 * The number of sockets that this process has inherited.
 *
 * @returns 0 also if the process may not read the variables.
 */
export function inheritedSockets(): number {
  if (readVariable("LISTEN_PID") !== String(Deno.pid)) return 0;
  const count = Number(readVariable("LISTEN_FDS"));
  return Number.isInteger(count) && count > 0 ? count : 0;
}

/**
 * Takes over all sockets that this process has inherited.
 *
 * @returns The listeners, in the order of their descriptors.
 * @throws {VirstorError} `invalid` if a descriptor is not a listening socket.
 */
export async function inheritListeners(): Promise<OpenListener[]> {
  const listeners: OpenListener[] = [];
  for (let index = 0; index < inheritedSockets(); index++) {
    const descriptor = FIRST_DESCRIPTOR + index;
    const { listener, address } = await inheritListener(descriptor);
    listeners.push({
      listener,
      address: address ?? await unixAddress(descriptor),
    });
  }
  return listeners;
}

/** The path of a Unix socket, from Linux; the runtime does not know it. */
async function unixAddress(descriptor: number): Promise<Address | undefined> {
  try {
    const link = await Deno.readLink(`/proc/self/fd/${descriptor}`);
    const [, inode] = /^socket:\[(\d+)\]$/.exec(link) ?? [];
    const sockets = await Deno.readTextFile("/proc/net/unix");
    const path = new RegExp(` ${inode} (/.*)$`, "m").exec(sockets)?.[1];
    return path === undefined ? undefined : { path };
  } catch {
    // Only the URI needs the path.
    return undefined;
  }
}
