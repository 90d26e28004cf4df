/**
 * All addresses of a server behind one listener.
 *
 * Who may not come in is turned away before the server hears of it.
 *
 * @module
 */

import type { AllowList } from "./allow_list.ts";

/** How long to wait after a failed accept, milliseconds. */
const RETRY_MS = 100;

/** What decides who comes in. */
export interface DoorsOptions {
  /** Who may connect. */
  readonly allowed: AllowList;
  /**
   * Told of each client that may not; it is gone already.
   *
   * @param address Where it came from.
   */
  onDenied(address: Deno.Addr): void;
}

/** Several listeners, as one. */
export class Doors {
  readonly #listeners: readonly Deno.Listener[];
  readonly #options: DoorsOptions;
  /** Fulfilled when the doors are closed and nothing waits at them any more. */
  readonly ended: Promise<void>;
  readonly #arrived: Deno.Conn[] = [];
  /** The last error of a listener that the server was not told of. */
  #error: { readonly cause: unknown } | undefined;
  #waiting: PromiseWithResolvers<void> | undefined;
  #isClosed = false;

  /**
   * Opens the doors.
   *
   * @param listeners Open; closed with the doors.
   * @param options Who may come in.
   */
  constructor(listeners: readonly Deno.Listener[], options: DoorsOptions) {
    this.#listeners = listeners;
    this.#options = options;
    this.ended = Promise.all(listeners.map((one) => this.#attend(one)))
      .then(() => {});
  }

  /** The doors, for a server: it accepts and closes, and does nothing else. */
  get listener(): Deno.Listener {
    return {
      accept: () => this.#accept(),
      close: () => this.close(),
    } as Deno.Listener;
  }

  /** Closes all doors. Who is inside stays. */
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
