/**
 * The one queue of a remote disk. Requests leave in order while nothing holds
 * the queue and a connection has room. Requests that lost their connection go
 * back in front.
 *
 * @module
 */

import type { VirstorError } from "../../errors.ts";
import { Freezes } from "./freezes.ts";
import type { Command } from "./requests/mod.ts";
import type { Session } from "./session.ts";

/** Requests that have left, before the queue is compacted. */
const COMPACT_AFTER = 1024;

/** The queue of requests. */
export class Dispatcher {
  /** Why the queue holds. */
  readonly freezes: Freezes = new Freezes();
  #queue: Command[] = [];
  /** Index of the first request in the queue. */
  #head = 0;
  #sequence = 0;
  #session: Session | undefined;
  #refusal: VirstorError | undefined;
  #pumping = false;

  /** Requests that have not left. */
  get queued(): number {
    return this.#queue.length - this.#head;
  }

  /** Requests that have left, without a reply. */
  get inFlight(): number {
    return this.#session?.inFlight ?? 0;
  }

  /** The connections in use; `undefined` while there are none. */
  get session(): Session | undefined {
    return this.#session;
  }

  /** Why requests fail at once; `undefined` while they do not. */
  get refusal(): VirstorError | undefined {
    return this.#refusal;
  }

  /**
   * Appends a request to the queue.
   *
   * @param command The request.
   * @returns Settles with the request.
   */
  submit(command: Command): Promise<void> {
    if (this.#refusal !== undefined) {
      command.fail(this.#refusal);
      return command.done;
    }
    this.#sequence += 1;
    command.sequence = this.#sequence;
    this.#queue.push(command);
    this.pump();
    return command.done;
  }

  /**
   * Fails a request that has not left.
   *
   * @param command The request.
   * @param error The failure.
   * @returns False if the request has left, or is done.
   */
  withdraw(command: Command, error: VirstorError): boolean {
    if (command.isSettled || !this.#queue.includes(command, this.#head)) {
      return false;
    }
    command.fail(error);
    return true;
  }

  /**
   * Uses other connections from now on.
   *
   * @param session The connections.
   */
  attach(session: Session): void {
    this.#session = session;
    this.#refusal = undefined;
  }

  /**
   * Uses no connections from now on.
   *
   * @param commands Requests without a reply, in their order; they go back in
   *   front.
   */
  detach(commands: readonly Command[]): void {
    this.#session = undefined;
    if (this.#refusal !== undefined) {
      for (const command of commands) command.fail(this.#refusal);
      return;
    }
    this.#queue = [...commands, ...this.#queue.slice(this.#head)];
    this.#head = 0;
  }

  /**
   * Fails all requests in the queue, and those that follow.
   *
   * @param error The failure.
   */
  refuse(error: VirstorError): void {
    this.#refusal = error;
    const commands = this.#queue.slice(this.#head);
    this.#queue = [];
    this.#head = 0;
    for (const command of commands) command.fail(error);
  }

  /** Sends what may leave. */
  pump(): void {
    // Sending calls back into `submit` never; settling may.
    if (this.#pumping) return;
    this.#pumping = true;
    while (
      this.#head < this.#queue.length && !this.freezes.isFrozen &&
      this.#session !== undefined
    ) {
      const command = this.#queue[this.#head];
      const isLive = command !== undefined && !command.isSettled;
      if (isLive && !this.#session.send(command)) break;
      this.#head += 1;
    }
    this.#pumping = false;
    if (this.#head >= this.#queue.length || this.#head > COMPACT_AFTER) {
      this.#queue = this.#queue.slice(this.#head);
      this.#head = 0;
    }
  }
}
