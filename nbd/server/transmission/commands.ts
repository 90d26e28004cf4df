/**
 * Executes the requests of one connection on the device and queues their
 * replies: before the call returns if the device finishes at once, else when
 * the device completes, out of order.
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
  STOPPING,
} from "../../wire/mod.ts";
import type { Batch, ExportProperties, NbdCounters } from "../export/mod.ts";
import type { LargeWrite } from "./large_write.ts";
import type { PendingRequests } from "./pending_requests.ts";
import { ChunkedReads, type ReadCommand, SimpleReads } from "./reads.ts";
import type { ReplyQueue } from "./reply_queue.ts";
import { BAD_STATUS_PAYLOAD, checkRequest } from "./request_gate.ts";

/** The parts of a connection that commands use. */
export interface CommandTools {
  /** The exported device. */
  readonly device: BlockDevice;
  /** The export as negotiated. */
  readonly properties: ExportProperties;
  /** Queue that receives the replies. */
  readonly replies: ReplyQueue;
  /** Encodes replies of the negotiated dialect. */
  readonly form: ReplyForm;
  /** Tracks requests that the device has in flight. */
  readonly pending: PendingRequests;
  /** Counts requests, bytes and error replies. */
  readonly counters: NbdCounters;
  /** Learns which requests are answered. */
  readonly batch: Batch;
  /** Cancels delayed writes when the client disconnects or the server stops. */
  readonly signal: AbortSignal;
  /** Called when the congestion of the device ends. */
  readonly onDecongested: () => void;
  /**
   * Called when a reply that is partly sent cannot be completed: the connection
   * must be closed.
   */
  readonly onBroken: () => void;
}

/** The commands of one connection. */
export class Commands {
  readonly #tools: CommandTools;
  readonly #reads: ReadCommand;
  readonly #status: BlockStatusCommand | undefined;
  // Created once, so that a write allocates nothing.
  readonly #plain: WriteOptions;
  readonly #fua: WriteOptions;
  #congested = false;
  #stopping = false;

  /**
   * Creates the commands.
   *
   * @param tools The parts of the connection.
   */
  constructor(tools: CommandTools) {
    const { form, signal, properties: { contexts } } = tools;
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

  /** Whether the device is congested: the caller should execute no more. */
  get isCongested(): boolean {
    return this.#congested;
  }

  /**
   * Whether a READ waits for room in the reply queue; {@linkcode resume}
   * continues it.
   */
  get isWaiting(): boolean {
    return this.#reads.isWaiting;
  }

  /** Refuses all further requests with ESHUTDOWN. */
  stop(): void {
    this.#stopping = true;
  }

  /** Continues the READ that waits, as far as the reply queue has room. */
  resume(): void {
    this.#reads.resume();
  }

  /**
   * Tells how much room a request needs in the reply queue before it starts.
   *
   * @param request The request.
   * @returns Bytes; for a READ without its data, for which the READ waits
   *   itself.
   */
  roomFor(request: NbdRequest): number {
    return request.command === COMMAND_BLOCK_STATUS &&
        this.#status !== undefined
      ? this.#status.room
      : this.#tools.form.shortReplyMax;
  }

  /**
   * Checks a request, as the request gate does, and whether the server stops.
   *
   * @param request The request, any but DISC.
   * @returns The failure; `undefined` if the request passes.
   */
  check(request: NbdRequest): Failure | undefined {
    if (this.#stopping) return STOPPING;
    const { properties, device } = this.#tools;
    return checkRequest(properties, request, device.size);
  }

  /**
   * Executes a request without a payload, and queues its reply or tracks it.
   *
   * *Requires:* {@linkcode isWaiting} is false, and the reply queue has
   * {@linkcode roomFor} the request.
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
          return this.#answer(undefined, request, false);
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
          // CACHE is a hint. Reading ahead here would delay the requests of all
          // clients, so the server does nothing, as the protocol allows.
          counters.caches++;
          return this.#answer(undefined, request, false);
        case COMMAND_BLOCK_STATUS:
          counters.blockStatuses++;
          return this.#status?.answer(request);
      }
    } catch (error) {
      this.#replyError(request, error, (flags & FLAG_FAST_ZERO) !== 0);
    }
  }

  /**
   * Executes a request with a payload, and queues its reply or tracks it.
   *
   * *Requires:* as {@linkcode perform}.
   *
   * @param request The request, any but DISC.
   * @param payload The whole payload. The caller may reuse it when the call
   *   returns.
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
      // A pending FUA write to a mapped chunk waits for its flush, not for
      // space: only a change of `waits` shows that it waits for space.
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
   * Starts a request whose payload is longer than PAYLOAD_WHOLE_MAX.
   *
   * @param request The request, any but DISC.
   * @returns The state of the write, for {@linkcode performPiece}. A request
   *   that the gate refuses has a failure: its payload is dropped.
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
      since: this.#tools.batch.since,
      offset,
      rest: length,
      pending: 0,
      isRefused: failure !== undefined,
      failure,
    };
  }

  /**
   * Writes the next piece of a payload. The last piece completes the request.
   *
   * @param large The state of the write.
   * @param piece The bytes. The caller may reuse them when the call returns.
   */
  performPiece(large: LargeWrite, piece: Uint8Array): void {
    const { offset } = large;
    large.offset += piece.length;
    large.rest -= piece.length;
    if (large.failure === undefined) this.#writePiece(large, piece, offset);
    if (large.rest === 0) this.#finish(large);
  }

  #writePiece(large: LargeWrite, piece: Uint8Array, offset: number): void {
    const { device, pending } = this.#tools;
    let completion: Completion;
    try {
      completion = device.write(piece, offset, this.#plain);
    } catch (error) {
      large.failure = pending.failureOf(error, large.to, false);
      return;
    }
    if (completion === undefined) return;
    large.pending++;
    pending.track(completion, large.to, false, (failure) => {
      large.pending--;
      large.failure ??= failure;
      if (large.rest === 0) this.#finish(large);
    });
    this.#heedCongestion();
  }

  /** Replies to a large write once no piece of it is in flight. */
  #finish(large: LargeWrite): void {
    const { to, since, failure } = large;
    if (large.pending > 0) return;
    // One that the gate has refused was not counted, either.
    if (large.isRefused) return this.#reply(to, failure);
    if (failure !== undefined || !large.fua) {
      this.#tools.batch.answered(COMMAND_WRITE, since);
      return this.#reply(to, failure);
    }
    // The pieces were written without FUA; one flush makes all of them durable.
    try {
      this.#answer(this.#tools.device.flush(), to, false, since);
    } catch (error) {
      this.#replyError(to, error, false, since);
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
    // Zeroes without `noHole`, and discards, need no chunk and never wait.
    if (completion !== undefined && options.noHole) this.#heedCongestion();
  }

  /** Executes a BLOCK_STATUS whose payload names contexts. */
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

  /** Answers a request, which has passed the gate, now or when it is done. */
  #answer(
    completion: Completion,
    to: ReplyAddress,
    fast: boolean,
    since: number = this.#tools.batch.since,
  ): void {
    const { batch, pending } = this.#tools;
    const { command } = to;
    if (completion === undefined) {
      batch.answered(command, since);
      return this.#reply(to, undefined);
    }
    const address = addressOf(to);
    pending.track(completion, address, fast, (failure) => {
      batch.answered(command, since);
      this.#reply(address, failure);
    });
  }

  #replyError(
    to: ReplyAddress,
    error: unknown,
    fast: boolean,
    since: number = this.#tools.batch.since,
  ): void {
    this.#tools.batch.answered(to.command, since);
    this.#reply(to, this.#tools.pending.failureOf(error, to, fast));
  }

  #reply(to: ReplyAddress, failure: Failure | undefined): void {
    const { replies, counters } = this.#tools;
    if (failure === undefined) return replies.succeed(to);
    counters.errors++;
    replies.fail(to, failure);
  }

  /**
   * Stops the execution of requests while the device is congested
   * (backpressure). The connection still receives while its buffer has room, to
   * notice that the client disconnects. Behind a full buffer the server notices
   * that only when space appears.
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
