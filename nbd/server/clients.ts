/**
 * The connections of a server, and how many there may be.
 *
 * @module
 */

import type { BlockDevice } from "../../device/block/mod.ts";
import { counted } from "../../errors.ts";
import type { NbdLimits } from "../wire/mod.ts";
import { createCounters, type NbdCounters, peerOf } from "./export/mod.ts";
import {
  type ByteStream,
  type Carrier,
  closeQuietly,
  peerProcess,
} from "./stream/mod.ts";
import type { Transmission } from "./transmission/mod.ts";

/** A connection. */
export interface Client {
  /** Number of the connection, from 1, in the order of arrival. */
  readonly id: number;
  /** Where it came from: `ADDRESS:PORT`, or `unix`. */
  readonly peer: string;
  /** Its process; `undefined` if unknown. */
  readonly pid: number | undefined;
  /** What the event loop has done for it. */
  readonly counters: NbdCounters;
  /** When it connected, milliseconds since 1970. */
  readonly since: number;
  /** What the runtime has. */
  readonly connection: Deno.Conn;
  /** The connection, or what carries it: closing this ends the client. */
  stream: ByteStream;
  /** What carries it from the end of its handshake on. */
  carrier: Carrier | undefined;
  /** Fulfilled when the connection has ended. */
  readonly ended: Promise<void>;
  /** What serves it, once it has chosen an export. */
  transmission: Transmission | undefined;
  /** The name of the export that the client uses. */
  exportName: string | undefined;
  /** The device of that export. */
  device: BlockDevice | undefined;
  /** The export that it asked for in vain, in quotes. */
  sought: string | undefined;
  /** Why the server has ended the handshake. */
  cutBecause: string | undefined;
}

/** The connections of one server. */
export class Clients implements Iterable<Client> {
  readonly #limits: NbdLimits;
  readonly #all = new Set<Client>();
  #count = 0;

  /**
   * Begins with none.
   *
   * @param limits How many there may be.
   */
  constructor(limits: NbdLimits) {
    this.#limits = limits;
  }

  /** How many there are, in their handshakes or after. */
  get size(): number {
    return this.#all.size;
  }

  /** Whether as many use an export as may. */
  get isFull(): boolean {
    return this.#serving >= this.#limits.clients;
  }

  /** What a client is refused with when there are too many. */
  get fullMessage(): string {
    const { clients } = this.#limits;
    const are = clients === 1 ? "is" : "are";
    return `There ${are} ${counted(clients, "client")} already`;
  }

  get #serving(): number {
    let serving = 0;
    for (const { transmission } of this.#all) {
      if (transmission !== undefined) serving++;
    }
    return serving;
  }

  /** The connections, in the order of arrival. */
  [Symbol.iterator](): Iterator<Client> {
    return this.#all[Symbol.iterator]();
  }

  /**
   * Numbers a connection that has come.
   *
   * @param connection The connection.
   * @param ended Fulfilled when it has ended.
   * @returns The client; {@linkcode add} keeps it.
   */
  make(connection: Deno.Conn, ended: Promise<void>): Client {
    return {
      id: ++this.#count,
      peer: peerOf(connection.remoteAddr),
      pid: peerProcess(connection),
      counters: createCounters(),
      since: Date.now(),
      connection,
      stream: connection,
      ended,
      transmission: undefined,
      carrier: undefined,
      exportName: undefined,
      device: undefined,
      sought: undefined,
      cutBecause: undefined,
    };
  }

  /**
   * Adds a client. If as many handshakes are in flight as may be, the oldest
   * one ends.
   *
   * @param client The client.
   */
  add(client: Client): void {
    const { handshakes } = this.#limits;
    const shaking = [...this.#all].filter(({ transmission, cutBecause }) =>
      transmission === undefined && cutBecause === undefined
    );
    const [oldest] = shaking;
    if (oldest !== undefined && shaking.length >= handshakes) {
      cutOff(oldest, `It was the oldest of ${handshakes} handshakes`);
    }
    this.#all.add(client);
  }

  /**
   * Removes a client that has ended.
   *
   * @param client The client.
   */
  remove(client: Client): void {
    this.#all.delete(client);
  }
}

/**
 * Ends a handshake.
 *
 * @param client The client.
 * @param reason Why, for the log.
 */
export function cutOff(client: Client, reason: string): void {
  client.cutBecause ??= reason;
  closeQuietly(client.connection);
}
