/**
 * The order of the changes of a remote disk: each waits for room among what is
 * not flushed, and for earlier changes that overlap it.
 *
 * @module
 */

import { VirstorError } from "../../errors.ts";
import type { Dispatcher } from "./dispatcher.ts";
import { LateLocks } from "./late_locks.ts";
import type { Range } from "./pieces.ts";
import { type RangeLock, RangeLocks } from "./range_locks.ts";
import { Command, type CommandFields } from "./requests/mod.ts";
import type { Unflushed } from "./unflushed.ts";

/** The room of one change; given back unless the change is kept. */
export interface Room {
  /** What the change counts as unflushed. */
  readonly cost: number;
  /** Whether the change has become one that is kept. */
  isKept: boolean;
  /** The request, once it is sent. */
  command?: Command;
}

/** The changes of a remote disk, in their order. */
export class OrderedChanges {
  readonly #parts: ChangeParts;
  readonly #locks = new RangeLocks();
  readonly #late = new LateLocks(this.#locks);

  /**
   * Begins without changes.
   *
   * @param parts What they need.
   */
  constructor(parts: ChangeParts) {
    this.#parts = parts;
  }

  /**
   * Sends one request that changes the disk, in its turn.
   *
   * @param fields The request.
   * @param cost What it counts as unflushed.
   * @param signal Cancels it while it has not left.
   * @returns The end of the request.
   */
  send(
    fields: CommandFields,
    cost: number,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { offset = 0, payload } = fields;
    const length = fields.length ?? payload?.length ?? 0;
    const range = { offset, length };
    if (signal !== undefined || !this.#parts.unflushed.hasRoom(cost)) {
      const run = (room: Room) => this.submit(fields, room, signal);
      return this.inTurn(range, cost, run);
    }
    return this.#changeNow(fields, range, cost);
  }

  /** As {@linkcode inTurn}; the usual change has one promise. */
  #changeNow(
    fields: CommandFields,
    { offset, length }: Range,
    cost: number,
  ): Promise<void> {
    const { dispatcher, unflushed } = this.#parts;
    const command = new Command(fields);
    if (dispatcher.refusal !== undefined) return dispatcher.submit(command);
    unflushed.takeRoom(cost);
    const lock = this.#locks.take(offset, offset + length);
    // Before the flush that may be next in the buffer of replies.
    command.onSuccess = () => {
      unflushed.add(command, cost);
      this.#late.release(lock, command.lateUntil);
    };
    command.onFailure = () => {
      unflushed.giveRoom(cost);
      this.#late.release(lock, command.lateUntil);
    };
    if (lock.blockers === 0) return dispatcher.submit(command);
    lock.grant = () => dispatcher.submit(command);
    return command.done;
  }

  /**
   * Runs a change when it has room, and no earlier change overlaps.
   *
   * @param range What it changes.
   * @param cost What it counts as unflushed.
   * @param run Makes the change.
   */
  async inTurn(
    { offset, length }: Range,
    cost: number,
    run: (room: Room) => Promise<void>,
  ): Promise<void> {
    const { dispatcher, unflushed } = this.#parts;
    if (dispatcher.refusal !== undefined) throw dispatcher.refusal;
    // With room, inline: so changes that overlap keep the order of the calls.
    const waits = unflushed.takeRoom(cost);
    if (waits !== undefined) await waits;
    const room: Room = { cost, isKept: false };
    const lock: RangeLock = this.#locks.take(offset, offset + length);
    try {
      const turn = this.#locks.wait(lock);
      if (turn !== undefined) await turn;
      await run(room);
    } finally {
      this.#late.release(lock, room.command?.lateUntil ?? 0);
      if (!room.isKept) unflushed.giveRoom(cost);
    }
  }

  /**
   * Sends a request of a change whose turn it is.
   *
   * @param fields The request.
   * @param room The room of the change.
   * @param signal Cancels it while it has not left.
   * @returns The end of the request.
   */
  submit(
    fields: CommandFields,
    room: Room,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { dispatcher, unflushed } = this.#parts;
    const command = new Command(fields);
    room.command = command;
    // Before the flush that may be next in the buffer of replies.
    command.onSuccess = () => {
      room.isKept = true;
      unflushed.add(command, room.cost);
    };
    const done = dispatcher.submit(command);
    if (signal === undefined) return done;
    return this.#withdrawable(command, done, signal);
  }

  /** Takes a request back that has not left, if the caller gives it up. */
  async #withdrawable(
    command: Command,
    done: Promise<void>,
    signal: AbortSignal,
  ): Promise<void> {
    const onAbort = () =>
      this.#parts.dispatcher.withdraw(
        command,
        new VirstorError("cancelled", "The write is cancelled"),
      );
    signal.addEventListener("abort", onAbort);
    try {
      await done;
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }

  /** Lets what waits for a range fail. Call this when requests are refused. */
  end(): void {
    this.#late.end();
  }
}

/** What changes need. */
interface ChangeParts {
  readonly dispatcher: Dispatcher;
  readonly unflushed: Unflushed;
}
