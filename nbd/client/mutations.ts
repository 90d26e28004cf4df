/**
 * Everything that changes a remote disk: writes, zeroes, discards, flushes.
 * Cuts requests to what the server takes, pads what is not whole blocks, and
 * keeps what is not flushed.
 *
 * @module
 */

import { joinParts, Slabs } from "../../device/block/mod.ts";
import type {
  WriteOptions,
  WriteZeroesOptions,
} from "../../device/block/mod.ts";
import { VirstorError } from "../../errors.ts";
import {
  COMMAND_FLUSH,
  COMMAND_READ,
  COMMAND_TRIM,
  COMMAND_WRITE,
  COMMAND_WRITE_ZEROES,
  EXPORT_SEND_FAST_ZERO,
  EXPORT_SEND_FLUSH,
  EXPORT_SEND_FUA,
  EXPORT_SEND_TRIM,
  EXPORT_SEND_WRITE_ZEROES,
  FLAG_FAST_ZERO,
  FLAG_FUA,
  FLAG_NO_HOLE,
} from "../wire/mod.ts";
import type { NbdExportInfo } from "./connection/mod.ts";
import type { Dispatcher } from "./dispatcher.ts";
import type { NbdWriteOptions } from "./options.ts";
import { OrderedChanges } from "./ordered_changes.ts";
import { Command } from "./requests/mod.ts";
import { divide, pieces } from "./pieces.ts";
import { Unflushed } from "./unflushed.ts";

/**
 * The longest TRIM or WRITE_ZEROES, bytes. nbd-server 3.24 acknowledges longer
 * ones and zeroes only their beginning.
 */
const ZEROES_MAX = 32 * 1024 * 1024;
/** Bytes of zeroes that are written where WRITE_ZEROES is not supported. */
const ZERO_PAYLOAD = new Uint8Array(1024 * 1024);

/** What changes a remote disk needs. */
export interface MutationParts {
  /** The export. */
  readonly info: NbdExportInfo;
  /** The queue. */
  readonly dispatcher: Dispatcher;
  /** The writes since the last good flush. */
  readonly unflushed: Unflushed;
  /** Whether bytes that their caller keeps count among them. */
  readonly countsKept: boolean;
  /**
   * Called when a flush has failed: from then on the far side may have lost
   * what it had acknowledged.
   *
   * @param error The failure.
   */
  readonly onFlushFailed: (error: VirstorError) => void;
}

/** The changes of a remote disk. */
export class Mutations {
  readonly #parts: MutationParts;
  readonly #block: number;
  readonly #slabs = new Slabs();
  readonly #changes: OrderedChanges;
  /** A flush that has not left: callers share it. */
  #waitingFlush: Command | undefined;
  #makingRoom: Promise<void> | undefined;

  /**
   * Prepares the changes.
   *
   * @param parts What they need.
   */
  constructor(parts: MutationParts) {
    this.#parts = parts;
    this.#changes = new OrderedChanges(parts);
    this.#block = parts.info.minimumBlock;
  }

  /**
   * Writes bytes.
   *
   * @param source The bytes, which are copied before the call returns, unless
   *   the caller keeps them.
   * @param offset First byte of the range.
   * @param options Options of the write.
   * @returns The end of the write.
   */
  write(
    source: Uint8Array,
    offset: number,
    options: NbdWriteOptions,
  ): Promise<void> {
    const { length } = source;
    const { kept } = options;
    const { countsKept } = this.#parts;
    const isOne = offset % this.#block === 0 && length % this.#block === 0 &&
      length <= this.#parts.info.maximumPayload;
    if (!isOne || options.fua === true) {
      return this.#writeParts(this.#slabs.copyOf(source), offset, options);
    }
    // The usual write takes no more promises than it needs.
    const payload = kept === undefined ? this.#slabs.copyOf(source) : source;
    return this.#changes.send(
      { command: COMMAND_WRITE, offset, payload, kept },
      Unflushed.costOf(kept === undefined || countsKept ? length : 0),
      options.signal,
    );
  }

  async #writeParts(
    bytes: Uint8Array,
    offset: number,
    options: WriteOptions,
  ): Promise<void> {
    const { maximumPayload } = this.#parts.info;
    const flags = this.#fuaFlag(options);
    const parts = divide({ offset, length: bytes.length }, this.#block);
    await joinParts([
      ...pieces(parts.whole, maximumPayload, this.#block),
      ...parts.edges,
    ], (range) => {
      const start = range.offset - offset;
      const payload = bytes.subarray(start, start + range.length);
      return parts.edges.includes(range)
        ? this.#writePadded(payload, range.offset, flags, options)
        : this.#changes.send(
          { command: COMMAND_WRITE, flags, offset: range.offset, payload },
          Unflushed.costOf(payload.length),
          options.signal,
        );
    });
    await this.#afterFua(options);
  }

  /**
   * Zeroes a range.
   *
   * @param offset First byte of the range.
   * @param length Bytes of the range.
   * @param options Options of the write of zeroes.
   * @returns The end of the write.
   */
  async writeZeroes(
    offset: number,
    length: number,
    options: WriteZeroesOptions,
  ): Promise<void> {
    if (options.fastOnly && !this.#has(EXPORT_SEND_FAST_ZERO)) {
      throw new VirstorError(
        "unsupported",
        `Cannot zero "${this.#parts.info.uri}" fast: the server does not ` +
          "support it",
      );
    }
    const flags = this.#fuaFlag(options);
    const parts = divide({ offset, length }, this.#block);
    const canZero = this.#has(EXPORT_SEND_WRITE_ZEROES);
    const { maximumPayload } = this.#parts.info;
    const most = canZero
      ? ZEROES_MAX
      : Math.min(ZERO_PAYLOAD.length, maximumPayload);
    const zeroFlags = flags | (options.noHole ? FLAG_NO_HOLE : 0) |
      (options.fastOnly ? FLAG_FAST_ZERO : 0);
    await joinParts(
      [...pieces(parts.whole, most, this.#block), ...parts.edges],
      (range) => {
        const { offset, length } = range;
        const payload = ZERO_PAYLOAD.subarray(0, length);
        if (parts.edges.includes(range)) {
          return this.#writePadded(payload, offset, flags, options);
        }
        const fields = canZero
          ? { command: COMMAND_WRITE_ZEROES, flags: zeroFlags, offset, length }
          : { command: COMMAND_WRITE, flags, offset, payload };
        return this.#changes.send(fields, Unflushed.costOf(0), options.signal);
      },
    );
    await this.#afterFua(options);
  }

  /**
   * Discards a range; without TRIM the range is zeroed.
   *
   * @param offset First byte of the range.
   * @param length Bytes of the range.
   * @param options Options of the write.
   * @returns The end of the discard.
   */
  async discard(
    offset: number,
    length: number,
    options: WriteOptions,
  ): Promise<void> {
    if (!this.#has(EXPORT_SEND_TRIM)) {
      await this.writeZeroes(offset, length, options);
      return;
    }
    const flags = this.#fuaFlag(options);
    // Parts of blocks stay as they are, which a discard may leave.
    const { whole } = divide({ offset, length }, this.#block);
    await joinParts(
      pieces(whole, ZEROES_MAX, this.#block),
      (range) =>
        this.#changes.send(
          { command: COMMAND_TRIM, flags, ...range },
          Unflushed.costOf(0),
          options.signal,
        ),
    );
    await this.#afterFua(options);
  }

  /**
   * Makes every write durable that was done before this call.
   *
   * @returns The end of the flush.
   */
  async flush(): Promise<void> {
    const { dispatcher, unflushed } = this.#parts;
    if (!this.#has(EXPORT_SEND_FLUSH)) {
      unflushed.dropBefore(unflushed.mark);
      return;
    }
    if (this.#waitingFlush !== undefined && !this.#waitingFlush.isSettled) {
      await this.#waitingFlush.done;
      return;
    }
    const command = new Command({ command: COMMAND_FLUSH });
    let mark = 0;
    command.onSend = () => {
      mark = unflushed.mark;
      if (this.#waitingFlush === command) this.#waitingFlush = undefined;
    };
    command.onSuccess = () => unflushed.dropBefore(mark);
    this.#waitingFlush = command;
    try {
      await dispatcher.submit(command);
    } catch (error) {
      if (
        error instanceof VirstorError && dispatcher.refusal === undefined &&
        error.code !== "cancelled"
      ) {
        this.#parts.onFlushFailed(error);
      }
      throw error;
    }
  }

  /**
   * Flushes, because what is kept fills its room.
   *
   * @returns The end of the flush; never fails.
   */
  makeRoom(): Promise<void> {
    this.#makingRoom ??= this.#flushForRoom();
    return this.#makingRoom;
  }

  async #flushForRoom(): Promise<void> {
    const { unflushed } = this.#parts;
    try {
      do await this.flush(); while (unflushed.isPressed);
    } catch (error) {
      if (!(error instanceof VirstorError)) throw error;
      unflushed.failWaiters(error);
    }
    // Inline: whatever presses from here on begins anew.
    this.#makingRoom = undefined;
  }

  /** Lets what waits for a range fail. Call this when requests are refused. */
  end(): void {
    this.#changes.end();
  }

  #has(flag: number): boolean {
    return (this.#parts.info.flags & flag) !== 0;
  }

  #fuaFlag({ fua }: WriteOptions): number {
    return fua && this.#has(EXPORT_SEND_FUA) ? FLAG_FUA : 0;
  }

  /** A server without FUA flushes instead. */
  async #afterFua({ fua }: WriteOptions): Promise<void> {
    if (fua && !this.#has(EXPORT_SEND_FUA)) await this.flush();
  }

  /** Writes a part of one block: reads the block, and writes it back. */
  async #writePadded(
    payload: Uint8Array,
    offset: number,
    flags: number,
    { signal }: WriteOptions,
  ): Promise<void> {
    const start = offset - offset % this.#block;
    const block = new Uint8Array(this.#block);
    const cost = Unflushed.costOf(block.length);
    const range = { offset: start, length: block.length };
    await this.#changes.inTurn(range, cost, async (room) => {
      const { dispatcher } = this.#parts;
      const read = { command: COMMAND_READ, offset: start, target: block };
      await dispatcher.submit(new Command(read));
      block.set(payload, offset - start);
      const fields = {
        command: COMMAND_WRITE,
        flags,
        offset: start,
        payload: block,
      };
      await this.#changes.submit(fields, room, signal);
    });
  }
}
