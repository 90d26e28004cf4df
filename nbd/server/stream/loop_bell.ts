/**
 * Makes the event loop look at all sockets, at once.
 *
 * The runtime does so only when it has nothing else to do, or after many turns
 * that were due at once: timers without a delay would starve the sockets, and
 * those with one sleep for two milliseconds. A byte that travels from one end
 * of a connection to the other comes in with whatever else is ready, and takes
 * about 15 microseconds.
 *
 * @module
 */

import { joinParts, turns } from "../../../device/block/mod.ts";
import { closeQuietly } from "./stream.ts";

const LOOPBACK = "127.0.0.1";

/** A connection of this process with itself. */
export class LoopBell {
  readonly #near: Deno.TcpConn;
  readonly #far: Deno.TcpConn;
  readonly #byte = new Uint8Array(1);
  readonly #target = new Uint8Array(1);

  private constructor(near: Deno.TcpConn, far: Deno.TcpConn) {
    this.#near = near;
    this.#far = far;
  }

  /**
   * Connects, and has all long work use it to come round.
   *
   * @returns The bell; undefined where the process may not connect, or cannot.
   */
  static async hang(): Promise<LoopBell | undefined> {
    let listener: Deno.TcpListener | undefined;
    const ends: Deno.TcpConn[] = [];
    try {
      listener = Deno.listen({ hostname: LOOPBACK, port: 0 });
      const { port } = listener.addr;
      ends.push(await Deno.connect({ hostname: LOOPBACK, port }));
      ends.push(await listener.accept());
      const [near, far] = ends;
      // Another process of this machine may have come first.
      if (near !== undefined && near.localAddr.port === far?.remoteAddr.port) {
        near.setNoDelay(true);
        const bell = new LoopBell(near, far);
        turns.addBell(bell.#ring);
        return bell;
      }
    } catch {
      // Without permission, or without a network: timers have to do.
    } finally {
      listener?.close();
    }
    for (const end of ends) end.close();
    return undefined;
  }

  readonly #ring = async (): Promise<void> => {
    // Nothing is there yet, so this can come from a look at the sockets only.
    const read = async () => {
      const count = await this.#far.read(this.#target);
      if (count === null) throw new Deno.errors.BadResource("It is closed");
    };
    const write = async () => {
      await this.#near.write(this.#byte);
    };
    await joinParts([read, write], (start) => start());
  };

  /** Closes it; long work comes round in another way. */
  close(): void {
    turns.removeBell(this.#ring);
    closeQuietly(this.#near);
    closeQuietly(this.#far);
  }
}
