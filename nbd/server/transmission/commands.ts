/**
 * Carries out the requests of one connection against the device, and answers
 * them: at once where the device can, later and out of order where it cannot.
 *
 * @module
 */

import type {
  BlockDevice,
  Completion,
  WriteOptions,
} from "../../../device/block/mod.ts";
import { assert } from "../../../errors.ts";
import { BlockStatusCommand } from "./block_status.ts";
import {
  addressOf,
  ChunkForm,
  COMMAND_BLOCK_STATUS,
  COMMAND_CACHE,
  COMMAND_FLUSH,
  COMMAND_READ,
  COMMAND_TRIM,
  COMMAND_WRITE,
  COMMAND_WRITE_ZEROES,
  type Failure,
  FLAG_FAST_ZERO,
  FLAG_FUA,
  FLAG_NO_HOLE,
  type NbdRequest,
  type ReplyAddress,
  type ReplyForm,
  SimpleForm,
  STOPPING,
} from "../../wire/mod.ts";
import type { ExportFacts, NbdCounters } from "../export/mod.ts";
import type { LargeWrite } from "./large_write.ts";
import type { LateRequests } from "./pending_requests.ts";
import { ChunkedReads, type ReadCommand, SimpleReads } from "./reads.ts";
import type { ReplyQueue } from "./reply_queue.ts";
import { BAD_STATUS_PAYLOAD, checkRequest } from "./request_gate.ts";

/** What commands work with. */
export interface CommandTools {
  /** What requests are about. */
  readonly device: BlockDevice;
  /** What was agreed on. */
  readonly facts: ExportFacts;
  /** Where replies go. */
  readonly replies: ReplyQueue;
  /** What replies look like. */
  readonly form: ReplyForm;
  /** Who waits for the device. */
  readonly late: LateRequests;
  /** Where requests are counted. */
  readonly counters: NbdCounters;
  /** Aborted when nobody waits for delayed writes any more. */
  readonly signal: AbortSignal;
  /** Called when the device is no longer congested. */
  readonly onDecongested: () => void;
  /** Called when a reply cannot be completed: the connection is of no use. */
  readonly onBroken: () => void;
}

/**
 * Chooses what replies look like.
 *
 * @param facts What was agreed on.
 * @returns The form.
 */
export function chooseForm(facts: ExportFacts): ReplyForm {
  return facts.chunked ? new ChunkForm(facts.extended) : new SimpleForm();
}

/** The commands of one connection. */
export class Commands {
  readonly #tools: CommandTools;
  readonly #reads: ReadCommand;
  readonly #status: BlockStatusCommand | undefined;
  // Made once, so that a write allocates nothing.
  readonly #plain: WriteOptions;
  readonly #fua: WriteOptions;
  #congested = false;
  #stopping = false;

  /**
   * Creates the commands.
   *
   * @param tools What they work with.
   */
  constructor(tools: CommandTools) {
    const { form, signal, facts: { contexts } } = tools;
    this.#tools = tools;
    this.#plain = Object.freeze({ signal });
    this.#fua = Object.freeze({ signal, fua: true });
    this.#reads = form instanceof ChunkForm
      ? new ChunkedReads(tools, form)
      : new SimpleReads(tools);
    this.#status = form instanceof ChunkForm && contexts.length > 0
      ? new BlockStatusCommand({ ...tools, contexts }, form)
      : undefined;
  }

  /** The device holds so many writes that no more should be begun. */
  get isCongested(): boolean {
    return this.#congested;
  }

  /** A request waits for room for its reply: {@linkcode resume} it. */
  get isWaiting(): boolean {
    return this.#reads.isWaiting;
  }

  /** From now on requests are refused. */
  stop(): void {
    this.#stopping = true;
  }

  /** Goes on with the request that is waiting, if there is room now. */
  resume(): void {
    this.#reads.resume();
  }

  /**
   * How much room a request needs before it is carried out.
   *
   * @param request The request.
   * @returns Bytes; a READ sees to its data itself.
   */
  roomFor(request: NbdRequest): number {
    return request.command === COMMAND_BLOCK_STATUS &&
        this.#status !== undefined
      ? this.#status.room
      : this.#tools.form.shortReplyMax;
  }

  /**
   * Checks a request.
   *
   * @param request The request.
   * @returns What is wrong, or nothing.
   */
  check(request: NbdRequest): Failure | undefined {
    if (this.#stopping) return STOPPING;
    const { facts, device } = this.#tools;
    return checkRequest(facts, request, device.size);
  }

  /**
   * Carries out a request without a payload. Not while one is waiting.
   *
   * @param request The request, any but DISC.
   */
  perform(request: NbdRequest): void {
    const { device, counters } = this.#tools;
    const failure = this.check(request);
    if (failure !== undefined) return this.#reply(request, failure);
    const { offset, length, flags } = request;
    try {
      switch (request.command) {
        case COMMAND_READ:
          counters.reads++;
          counters.bytesRead += length;
          return this.#reads.start(request);
        case COMMAND_WRITE:
          counters.writes++;
          return this.#reply(request, undefined);
        case COMMAND_FLUSH:
          counters.flushes++;
          return this.#answer(device.flush(), request, false);
        case COMMAND_TRIM: {
          counters.trims++;
          const completion = length === 0
            ? undefined
            : device.discard(offset, length, this.#optionsOf(flags));
          return this.#answer(completion, request, false);
        }
        case COMMAND_WRITE_ZEROES:
          counters.writeZeroes++;
          return this.#writeZeroes(request);
        case COMMAND_CACHE:
          // A hint. Reading ahead would hold up everybody's requests, so
          // nothing is done about it, as the protocol allows.
          counters.caches++;
          return this.#reply(request, undefined);
        case COMMAND_BLOCK_STATUS:
          counters.blockStatuses++;
          return this.#status?.answer(request);
      }
    } catch (error) {
      this.#replyError(request, error, (flags & FLAG_FAST_ZERO) !== 0);
    }
  }

  /**
   * Carries out a request with a payload.
   *
   * @param request The request, any but DISC.
   * @param payload The whole of it; the caller's again afterwards.
   */
  performWithPayload(request: NbdRequest, payload: Uint8Array): void {
    if (request.command === COMMAND_BLOCK_STATUS) {
      return this.#statusOf(request, payload);
    }
    const failure = this.check(request);
    if (failure !== undefined) return this.#reply(request, failure);
    assert(
      request.command === COMMAND_WRITE,
      "only a write has a payload of data",
    );
    const { device, counters } = this.#tools;
    counters.writes++;
    counters.bytesWritten += payload.length;
    try {
      const options = this.#optionsOf(request.flags);
      // A FUA write to a mapped chunk waits for its flush, not for space.
      const isFua = options === this.#fua;
      const before = isFua ? device.waits : undefined;
      const completion = device.write(payload, request.offset, options);
      this.#answer(completion, request, false);
      if (completion === undefined) return;
      if (before === undefined || device.waits !== before) {
        this.#heedCongestion();
      }
    } catch (error) {
      this.#replyError(request, error, false);
    }
  }

  /**
   * Begins a request whose payload is too long to be collected.
   *
   * @param request The request, any but DISC.
   * @returns What {@linkcode performPiece} takes.
   */
  begin(request: NbdRequest): LargeWrite {
    const { counters } = this.#tools;
    const { command, flags, offset, length } = request;
    const failure = command === COMMAND_BLOCK_STATUS
      ? BAD_STATUS_PAYLOAD
      : this.check(request);
    if (failure === undefined) {
      counters.writes++;
      counters.bytesWritten += length;
    }
    return {
      to: addressOf(request),
      fua: (flags & FLAG_FUA) !== 0,
      offset,
      rest: length,
      pending: 0,
      failure,
    };
  }

  /**
   * Takes the next piece of a payload.
   *
   * @param large Whose it is.
   * @param piece The bytes; the caller's again afterwards.
   */
  performPiece(large: LargeWrite, piece: Uint8Array): void {
    const { offset } = large;
    large.offset += piece.length;
    large.rest -= piece.length;
    if (large.failure === undefined) this.#writePiece(large, piece, offset);
    if (large.rest === 0) this.#finish(large);
  }

  #writePiece(large: LargeWrite, piece: Uint8Array, offset: number): void {
    const { device, late } = this.#tools;
    let completion: Completion;
    try {
      completion = device.write(piece, offset, this.#plain);
    } catch (error) {
      large.failure = late.failureOf(error, large.to, false);
      return;
    }
    if (completion === undefined) return;
    large.pending++;
    late.track(completion, large.to, false, (failure) => {
      large.pending--;
      large.failure ??= failure;
      if (large.rest === 0) this.#finish(large);
    });
    this.#heedCongestion();
  }

  /** Answers a large write when all of it is taken and nothing is pending. */
  #finish(large: LargeWrite): void {
    const { to, failure } = large;
    if (large.pending > 0) return;
    if (failure !== undefined || !large.fua) return this.#reply(to, failure);
    // The pieces went without FUA; one flush makes them durable together.
    try {
      this.#answer(this.#tools.device.flush(), to, false);
    } catch (error) {
      this.#replyError(to, error, false);
    }
  }

  #writeZeroes(request: NbdRequest): void {
    const { device, signal } = this.#tools;
    const { offset, length, flags } = request;
    const options = {
      signal,
      fua: (flags & FLAG_FUA) !== 0,
      noHole: (flags & FLAG_NO_HOLE) !== 0,
      fastOnly: (flags & FLAG_FAST_ZERO) !== 0,
    };
    const completion = length === 0
      ? undefined
      : device.writeZeroes(offset, length, options);
    this.#answer(completion, request, options.fastOnly);
    // Other zeroes and discards need no chunk.
    if (completion !== undefined && options.noHole) this.#heedCongestion();
  }

  /** A BLOCK_STATUS that says which contexts it is about. */
  #statusOf(request: NbdRequest, payload: Uint8Array): void {
    const { counters } = this.#tools;
    const contexts = this.#status?.decode(payload, request) ?? [];
    const failure = this.check(request) ??
      (contexts.length === 0 ? BAD_STATUS_PAYLOAD : undefined);
    if (failure !== undefined) return this.#reply(request, failure);
    counters.blockStatuses++;
    this.#status?.answer(request, contexts);
  }

  #optionsOf(flags: number): WriteOptions {
    return (flags & FLAG_FUA) === 0 ? this.#plain : this.#fua;
  }

  #answer(completion: Completion, to: ReplyAddress, fast: boolean): void {
    if (completion === undefined) return this.#reply(to, undefined);
    const address = addressOf(to);
    this.#tools.late.track(completion, address, fast, (failure) => {
      this.#reply(address, failure);
    });
  }

  #replyError(to: ReplyAddress, error: unknown, fast: boolean): void {
    this.#reply(to, this.#tools.late.failureOf(error, to, fast));
  }

  #reply(to: ReplyAddress, failure: Failure | undefined): void {
    const { replies, counters } = this.#tools;
    if (failure === undefined) return replies.succeed(to);
    counters.errors++;
    replies.fail(to, failure);
  }

  /**
   * No more requests are executed while the device is congested. Bytes are
   * still received while there is room, to see that the client leaves; one
   * that has sent more than that and left is noticed when there is space.
   */
  #heedCongestion(): void {
    const { congestion } = this.#tools.device;
    if (congestion === undefined || this.#congested) return;
    this.#congested = true;
    congestion.then(() => {
      this.#congested = false;
      this.#tools.onDecongested();
    });
  }
}
