/**
 * Sockets that a service manager has opened: systemd's protocol, which others
 * speak too. `LISTEN_PID` names the process they are for, `LISTEN_FDS` how
 * many there are, from descriptor 3.
 *
 * @module
 */

import type { Address } from "./address.ts";
import { inheritListener } from "./inherited_listener.ts";
import type { Door } from "./listener.ts";

/** The first descriptor that is passed on. */
const FIRST_DESCRIPTOR = 3;

/**
 * How many sockets were passed to this process.
 *
 * @returns 0 if none were, or if the variables may not be read.
 */
export function inheritedSockets(): number {
  if (readVariable("LISTEN_PID") !== String(Deno.pid)) return 0;
  const count = Number(readVariable("LISTEN_FDS"));
  return Number.isInteger(count) && count > 0 ? count : 0;
}

/**
 * Takes all sockets over that were passed to this process.
 *
 * @returns What listens, in their order.
 * @throws {VirstorError} `invalid` if one is no listening socket.
 */
export async function inheritDoors(): Promise<Door[]> {
  const doors: Door[] = [];
  for (let index = 0; index < inheritedSockets(); index++) {
    const descriptor = FIRST_DESCRIPTOR + index;
    const { listener, address } = await inheritListener(descriptor);
    doors.push({
      listener,
      address: address ?? await unixAddress(descriptor),
    });
  }
  return doors;
}

function readVariable(variable: string): string | undefined {
  const { state } = Deno.permissions.querySync({ name: "env", variable });
  return state === "granted" ? Deno.env.get(variable) : undefined;
}

/** Where a Unix socket is; the runtime does not tell, Linux does. */
async function unixAddress(descriptor: number): Promise<Address | undefined> {
  try {
    const link = await Deno.readLink(`/proc/self/fd/${descriptor}`);
    const [, inode] = /^socket:\[(\d+)\]$/.exec(link) ?? [];
    const sockets = await Deno.readTextFile("/proc/net/unix");
    const path = new RegExp(` ${inode} (/.*)$`, "m").exec(sockets)?.[1];
    return path === undefined ? undefined : { path };
  } catch {
    // It is for the URI only.
    return undefined;
  }
}
