/**
 * The one queue of a remote disk. Requests leave in order while nothing holds
 * the queue and a connection has room. Those that are contiguous leave as one.
 * Requests that lost their connection go back in front.
 *
 * @module
 */

import { assert, type VirstorError } from "../../errors.ts";
import { countContiguous, join } from "./coalesce.ts";
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
  #isScheduled = false;
  readonly #joinedMax: number;

  /**
   * Creates an empty queue.
   *
   * @param joinedMax The most bytes of contiguous requests that leave as one; 0
   *   joins none.
   */
  constructor(joinedMax: number) {
    this.#joinedMax = joinedMax;
  }

  /** Requests that have not left. */
  get queued(): number {
    return this.#queue.length - this.#head;
  }

  /** Requests that have left, without a reply. */
  get inFlight(): number {
    return this.#session?.inFlight ?? 0;
  }

  /**
   * When the oldest request left first, or began to wait for a connection,
   * milliseconds; `Infinity` if there is none.
   */
  get oldest(): number {
    let least = this.#session?.oldest ?? Infinity;
    for (let i = this.#head; i < this.#queue.length; i++) {
      const command = this.#queue[i];
      if (command === undefined || command.isSettled) continue;
      if (command.since !== 0) least = Math.min(least, command.since);
    }
    return least;
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
    if (this.#session === undefined) command.since = performance.now();
    this.#queue.push(command);
    // Requests of the same turn of the event loop come first: they may join.
    if (!this.#isScheduled) {
      this.#isScheduled = true;
      queueMicrotask(() => {
        this.#isScheduled = false;
        this.pump();
      });
    }
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
    const parts = commands.flatMap((command) => {
      if (command.parts.length === 0) return [command];
      for (const part of command.parts) part.since ||= command.since;
      return command.parts;
    });
    if (this.#refusal === undefined) this.#putBack(parts);
    else for (const command of parts) command.fail(this.#refusal);
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

  /** Takes requests again, although there is no connection. */
  accept(): void {
    this.#refusal = undefined;
  }

  /** Sends what may leave. */
  pump(): void {
    // Sending calls back into `submit` never; settling may.
    if (this.#pumping) return;
    this.#pumping = true;
    this.#session?.beginBurst();
    while (
      this.#head < this.#queue.length && !this.freezes.isFrozen &&
      this.#session !== undefined
    ) {
      const command = this.#queue[this.#head];
      if (command === undefined || command.isSettled) this.#head += 1;
      else if (!this.#sendNext(command, this.#session)) break;
    }
    this.#pumping = false;
    if (this.#head >= this.#queue.length || this.#head > COMPACT_AFTER) {
      this.#queue = this.#queue.slice(this.#head);
      this.#head = 0;
    }
  }

  /** Sends the first request, with those that join it; false without room. */
  #sendNext(command: Command, session: Session): boolean {
    if (!session.hasRoom) return false;
    const most = Math.min(this.#joinedMax, session.info.maximumPayload);
    const count = countContiguous(this.#queue, this.#head, most);
    const sent = count === 1 ? command : this.#joined(count);
    this.#head += count;
    const isSent = session.send(sent);
    assert(isSent, "a connection with room takes a request");
    return true;
  }

  #joined(count: number): Command {
    const parts = this.#queue.slice(this.#head, this.#head + count);
    return join(parts, (error) => this.#onJoinedFailed(parts, error));
  }

  /** One part may be the fault of all: each is tried by itself. */
  #onJoinedFailed(parts: readonly Command[], error: VirstorError): void {
    const cause = this.#refusal ??
      (this.#session === undefined ? error : undefined);
    for (const part of parts) {
      part.isAlone = true;
      if (cause !== undefined) part.fail(cause);
    }
    if (cause !== undefined) return;
    this.#putBack(parts);
    // The caller pumps: the reply that failed makes room.
  }

  #putBack(commands: readonly Command[]): void {
    this.#queue = [...commands, ...this.#queue.slice(this.#head)];
    this.#head = 0;
  }
}
