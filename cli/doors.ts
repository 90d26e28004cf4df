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

/** What came to a door. */
type Arrival = { readonly connection: Deno.Conn } | { readonly error: unknown };

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
  readonly #arrived: Arrival[] = [];
  #waiting: PromiseWithResolvers<void> | undefined;
  #isClosed = false;
  readonly #attended: Promise<unknown>;

  /**
   * Opens the doors.
   *
   * @param listeners Open; closed with the doors.
   * @param options Who may come in.
   */
  constructor(listeners: readonly Deno.Listener[], options: DoorsOptions) {
    this.#listeners = listeners;
    this.#options = options;
    this.#attended = Promise.all(listeners.map((one) => this.#attend(one)));
  }

  /** The doors, for a server: it accepts and closes, and does nothing else. */
  get listener(): Deno.Listener {
    return {
      accept: () => this.#accept(),
      close: () => void this.close(),
    } as Deno.Listener;
  }

  /**
   * Closes all doors. Who is inside stays.
   *
   * @returns Fulfilled when nobody waits at them any more: only then is a Unix
   *   socket removed.
   */
  async close(): Promise<void> {
    if (!this.#isClosed) {
      this.#isClosed = true;
      for (const listener of this.#listeners) listener.close();
      for (const arrival of this.#arrived) {
        if ("connection" in arrival) arrival.connection.close();
      }
      this.#arrived.length = 0;
      this.#waiting?.resolve();
    }
    await this.#attended;
  }

  async #accept(): Promise<Deno.Conn> {
    while (this.#arrived.length === 0 && !this.#isClosed) {
      this.#waiting = Promise.withResolvers();
      await this.#waiting.promise;
    }
    const arrival = this.#arrived.shift();
    if (arrival === undefined) {
      throw new Deno.errors.BadResource("The listener is closed");
    }
    if ("error" in arrival) throw arrival.error;
    return arrival.connection;
  }

  async #attend(listener: Deno.Listener): Promise<void> {
    while (!this.#isClosed) {
      try {
        this.#arrive(await listener.accept());
      } catch (error) {
        if (this.#isClosed) return;
        this.#arrived.push({ error });
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
    this.#arrived.push({ connection });
    this.#waiting?.resolve();
  }
}
