/**
 * Several listeners of a server, combined into one. Connections that the allow
 * list refuses never reach the server.
 *
 * @module
 */

import type { AllowList } from "./allow_list.ts";

/** The pause after a failed accept, milliseconds. */
const RETRY_MS = 100;

/** Which clients may connect. */
export interface ListenersOptions {
  /** The networks that may connect. */
  readonly allowed: AllowList;
  /**
   * Called for each refused client, after its connection is closed.
   *
   * @param address The client's address.
   */
  onDenied(address: Deno.Addr): void;
}

/** Several listeners, combined into one. */
export class Listeners {
  readonly #listeners: readonly Deno.Listener[];
  readonly #options: ListenersOptions;
  /** Resolves when all listeners are closed and no accept is pending. */
  readonly ended: Promise<void>;
  readonly #arrived: Deno.Conn[] = [];
  /** The last error of a listener that `accept` has not thrown yet. */
  #error: { readonly cause: unknown } | undefined;
  #waiting: PromiseWithResolvers<void> | undefined;
  #isClosed = false;

  /**
   * Begins to accept.
   *
   * @param listeners The listeners; `close` closes them.
   * @param options Which clients may connect.
   */
  constructor(listeners: readonly Deno.Listener[], options: ListenersOptions) {
    this.#listeners = listeners;
    this.#options = options;
    this.ended = Promise.all(listeners.map((one) => this.#attend(one)))
      .then(() => {});
  }

  /** The combined listener for a server; only `accept` and `close` work. */
  get listener(): Deno.Listener {
    return {
      accept: () => this.#accept(),
      close: () => this.close(),
    } as Deno.Listener;
  }

  /** Closes all listeners. Connections that the server has accepted stay. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const listener of this.#listeners) listener.close();
    for (const connection of this.#arrived) connection.close();
    this.#arrived.length = 0;
    this.#waiting?.resolve();
  }

  async #accept(): Promise<Deno.Conn> {
    for (;;) {
      const connection = this.#arrived.shift();
      if (connection !== undefined) return connection;
      if (this.#isClosed) {
        throw new Deno.errors.BadResource("The listener is closed");
      }
      const error = this.#error;
      this.#error = undefined;
      if (error !== undefined) throw error.cause;
      this.#waiting = Promise.withResolvers();
      await this.#waiting.promise;
    }
  }

  async #attend(listener: Deno.Listener): Promise<void> {
    while (!this.#isClosed) {
      try {
        this.#arrive(await listener.accept());
      } catch (error) {
        if (this.#isClosed) return;
        this.#error = { cause: error };
        this.#waiting?.resolve();
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    }
  }

  #arrive(connection: Deno.Conn): void {
    const { remoteAddr } = connection;
    if (this.#isClosed) return connection.close();
    if (!this.#options.allowed.allows(remoteAddr)) {
      connection.close();
      return this.#options.onDenied(remoteAddr);
    }
    this.#arrived.push(connection);
    this.#waiting?.resolve();
  }
}
