/**
 * A network between client and server that breaks all connections once, after a
 * number of bytes, and behaves afterwards.
 *
 * @module
 */

import type { Upstream } from "./cutting_proxy.ts";

/** Bytes to receive at once: the network breaks within so many. */
const BUFFER_SIZE = 64 * 1024;

/** Where the network breaks. */
export interface Break {
  /** Whether bytes to the server count, or those to the client. */
  readonly direction: "down" | "up";
  /** Bytes that pass before, on all connections. */
  readonly bytes: number;
}

/** A proxy on a Unix socket. */
export class BreakingProxy implements AsyncDisposable {
  /** Bytes that have passed. */
  readonly passed: Record<Break["direction"], number> = { up: 0, down: 0 };
  /** Bytes to the server, of each connection that was made. */
  readonly up: number[] = [];
  /** Whether the network has broken. */
  isBroken = false;
  readonly #plan: Break | undefined;
  readonly #upstream: Upstream;
  readonly #listener: Deno.Listener;
  readonly #conns = new Set<Deno.Conn>();
  readonly #work: Promise<void>[] = [];
  #ready: Promise<void> = Promise.resolve();

  /**
   * Listens.
   *
   * @param path The Unix socket.
   * @param upstream The far server.
   * @param plan Where it breaks; never by default.
   */
  constructor(path: string, upstream: Upstream, plan?: Break) {
    this.#plan = plan;
    this.#upstream = upstream;
    this.#listener = Deno.listen({ transport: "unix", path });
    this.#work.push(this.#serve());
  }

  /** Ends all connections. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    await this.#work[0];
    this.#endAll();
    await Promise.all(this.#work);
  }

  async #serve(): Promise<void> {
    for await (const client of this.#listener) {
      await this.#ready;
      const server = await this.#upstream.connect();
      const index = this.up.push(0) - 1;
      this.#conns.add(client).add(server);
      this.#work.push(
        this.#pump(client, server, "up", index),
        this.#pump(server, client, "down"),
      );
    }
  }

  async #pump(
    from: Deno.Conn,
    to: Deno.Conn,
    direction: Break["direction"],
    index?: number,
  ): Promise<void> {
    const buffer = new Uint8Array(BUFFER_SIZE);
    try {
      for (;;) {
        const count = await from.read(buffer);
        if (count === null) break;
        let rest = buffer.subarray(0, count);
        while (rest.length > 0) rest = rest.subarray(await to.write(rest));
        this.passed[direction] += count;
        if (index !== undefined) this.up[index] = (this.up[index] ?? 0) + count;
        if (this.#isDue(direction)) this.#break();
      }
      await to.closeWrite();
    } catch {
      // A side has gone.
      this.#end(from, to);
    }
  }

  #isDue(direction: Break["direction"]): boolean {
    return !this.isBroken && direction === this.#plan?.direction &&
      this.passed[direction] >= this.#plan.bytes;
  }

  #break(): void {
    this.isBroken = true;
    this.#endAll();
    this.#ready = this.#upstream.afterCut();
  }

  #endAll(): void {
    this.#end(...this.#conns);
  }

  #end(...conns: Deno.Conn[]): void {
    for (const conn of conns) {
      if (!this.#conns.delete(conn)) continue;
      try {
        conn.close();
      } catch {
        // It has ended.
      }
    }
  }
}
