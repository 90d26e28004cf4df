/**
 * A network between client and server that does harm once, at a message of
 * choice, and behaves afterwards.
 *
 * @module
 */

import { type Direction, MessageSplitter } from "./message_splitter.ts";

/**
 * The harm:
 *
 * - `cut`: the connection ends before the message
 * - `truncate`: the connection ends in the middle of the message
 * - `stall`: neither the message nor anything after it passes, either way
 * - `swap`: the message passes after the next one
 */
export type Harm = "cut" | "stall" | "swap" | "truncate";

/** What to do, and when. */
export interface Plan {
  /** The harm. */
  readonly harm: Harm;
  /** The direction of the message. */
  readonly direction: Direction;
  /** Number of the message in that direction, from 0. */
  readonly message: number;
}

/** The far server of a proxy. */
export interface Upstream {
  /** Connects. */
  connect(): Promise<Deno.Conn>;
  /** Called when a connection was cut, before another one is served. */
  afterCut(): Promise<void>;
}

/** A proxy on a Unix socket. */
export class CuttingProxy implements AsyncDisposable {
  /** Messages that have passed on the first connection. */
  readonly passed: Record<Direction, number> = { up: 0, down: 0 };
  /** Whether the harm is done. */
  isDone = false;
  readonly #plan: Plan | undefined;
  readonly #upstream: Upstream;
  readonly #listener: Deno.Listener;
  readonly #conns = new Set<Deno.Conn>();
  readonly #serving: Promise<void>;
  readonly #pumps: Promise<void>[] = [];
  #ready: Promise<void> = Promise.resolve();

  /**
   * Listens.
   *
   * @param path The Unix socket.
   * @param upstream The far server.
   * @param plan The harm; none by default.
   */
  constructor(path: string, upstream: Upstream, plan?: Plan) {
    this.#plan = plan;
    this.#upstream = upstream;
    this.#listener = Deno.listen({ transport: "unix", path });
    this.#serving = this.#serve();
  }

  /** Ends all connections. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    await this.#serving;
    this.#end([...this.#conns]);
    await Promise.all(this.#pumps);
  }

  async #serve(): Promise<void> {
    for await (const client of this.#listener) {
      this.#conns.add(client);
      await this.#ready;
      try {
        const server = await this.#upstream.connect();
        this.#conns.add(server);
        const pair = [client, server];
        const state = { isHarmless: this.isDone, isStalled: false };
        this.#pumps.push(
          this.#pump(client, server, "up", pair, state),
          this.#pump(server, client, "down", pair, state),
        );
      } catch {
        this.#end([client]);
      }
    }
  }

  async #pump(
    from: Deno.Conn,
    to: Deno.Conn,
    direction: Direction,
    pair: Deno.Conn[],
    state: { isHarmless: boolean; isStalled: boolean },
  ): Promise<void> {
    const splitter = new MessageSplitter(direction);
    const buffer = new Uint8Array(64 * 1024);
    let held: Uint8Array | undefined;
    try {
      for (;;) {
        const count = await from.read(buffer);
        if (count === null) break;
        for (const message of splitter.push(buffer.subarray(0, count))) {
          if (state.isStalled) continue;
          const harm = state.isHarmless ? undefined : this.#harmNow(direction);
          if (harm === "stall") state.isStalled = true;
          else if (harm === "swap") held = message;
          else if (harm === "cut" || harm === "truncate") {
            await this.#cut(to, message, harm, pair);
            return;
          } else {
            await sendAll(to, message);
            if (held !== undefined) await sendAll(to, held);
            held = undefined;
          }
        }
      }
    } catch {
      // A side has gone.
    }
    if (!state.isStalled) this.#end(pair);
  }

  /** Counts a message; tells what is to be done at it. */
  #harmNow(direction: Direction): Harm | undefined {
    const number = this.passed[direction]++;
    const plan = this.#plan;
    if (
      plan === undefined || this.isDone || plan.direction !== direction ||
      plan.message !== number
    ) return undefined;
    this.isDone = true;
    return plan.harm;
  }

  async #cut(
    to: Deno.Conn,
    message: Uint8Array,
    harm: Harm,
    pair: Deno.Conn[],
  ): Promise<void> {
    const half = Math.ceil(message.length / 2);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#ready = promise;
    if (harm === "truncate") await sendAll(to, message.subarray(0, half));
    this.#end(pair);
    await this.#upstream.afterCut();
    resolve();
  }

  #end(conns: Deno.Conn[]): void {
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

async function sendAll(to: Deno.Conn, bytes: Uint8Array): Promise<void> {
  let rest = bytes;
  while (rest.length > 0) rest = rest.subarray(await to.write(rest));
}
