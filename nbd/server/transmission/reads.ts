/**
 * Executes READ with simple replies or with chunks: one interface, chosen once
 * for each connection. The device reads straight into a reply buffer.
 *
 * The reply to a READ is one chunk, unless a part of the range is known to be a
 * hole, which a hole chunk describes, or the reply does not fit into a reply
 * buffer. Then the server reads piece by piece, as the reply queue has room.
 *
 * Source: NBD `doc/proto.md`, section "Request types".
 *
 * @module
 */

import type { Completion } from "../../../device/block/mod.ts";
import {
  addressOf,
  type ChunkForm,
  COMMAND_READ,
  createRequest,
  type Failure,
  FLAG_DF,
  HOLE_STEP,
  type NbdRequest,
  READ_PIECE_SIZE,
  REPLY_BUFFER_SIZE,
  type ReplyAddress,
  SIMPLE_REPLY_SIZE,
} from "../../wire/mod.ts";
import { LongRead, type ReadTools } from "./long_read.ts";
import type { ReplyPlace } from "./reply_queue.ts";

/** Executes the READs of one connection. */
export interface ReadCommand {
  /** Whether the current READ waits for room in the reply queue. */
  readonly isWaiting: boolean;
  /**
   * Starts a READ.
   *
   * *Requires:* {@linkcode isWaiting} is false, and the request has passed the
   * gate.
   *
   * @param request The request. It must not change while the READ waits.
   */
  start(request: NbdRequest): void;
  /** Continues the READ that waits, as far as the reply queue has room. */
  resume(): void;
}

/** Whether a reply of `size` bytes has to be sent in parts. */
function isLong(size: number): boolean {
  return size > REPLY_BUFFER_SIZE;
}

/** Executes READs with simple replies: one header, then all data. */
export class SimpleReads implements ReadCommand {
  readonly #tools: ReadTools;
  readonly #long: LongRead;
  #waiting: NbdRequest | undefined = undefined;
  /** When the current READ had come. */
  #since = 0;

  /**
   * Creates the command.
   *
   * @param tools The parts of the connection.
   */
  constructor(tools: ReadTools) {
    this.#tools = tools;
    this.#long = new LongRead(tools);
  }

  /** Whether the current READ waits for room in the reply queue. */
  get isWaiting(): boolean {
    return this.#waiting !== undefined || this.#long.isUnderWay;
  }

  /**
   * Starts a READ; see {@linkcode ReadCommand.start}.
   *
   * @param request The request.
   */
  start(request: NbdRequest): void {
    this.#since = this.#tools.batch.since;
    this.#start(request);
  }

  #start(request: NbdRequest): void {
    const { device, replies, pending, counters, batch } = this.#tools;
    const { offset, length } = request;
    const since = this.#since;
    if (length === 0) {
      batch.answered(COMMAND_READ, since);
      return replies.succeed(request);
    }
    if (isLong(SIMPLE_REPLY_SIZE + length)) {
      return this.#long.start(request, since);
    }
    if (!replies.hasRoom(SIMPLE_REPLY_SIZE + length)) {
      this.#waiting = request;
      return;
    }
    const target = replies.target(length);
    let completion: Completion;
    try {
      completion = device.read(target, offset);
    } catch (error) {
      counters.errors++;
      batch.answered(COMMAND_READ, since);
      return replies.fail(request, pending.failureOf(error, request, false));
    }
    if (completion === undefined) {
      batch.answered(COMMAND_READ, since);
      replies.commit(request, offset, length, true);
    } else {
      this.#wait(request, offset, replies.hold(target), completion);
    }
  }

  /** Continues the READ that waits, as far as the reply queue has room. */
  resume(): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting !== undefined) this.#start(waiting);
    else if (this.#long.isUnderWay) this.#long.resume();
  }

  #wait(
    request: NbdRequest,
    offset: number,
    place: ReplyPlace,
    completion: Promise<void>,
  ): void {
    const { replies, pending, counters, batch } = this.#tools;
    const to = addressOf(request);
    const since = this.#since;
    pending.track(completion, to, false, (failure) => {
      batch.answered(COMMAND_READ, since);
      if (failure === undefined) {
        return replies.release(place, to, offset, true);
      }
      counters.errors++;
      replies.cancel(place);
      replies.fail(to, failure);
    });
  }
}

/** A READ of which the device had at least one piece in flight. */
interface PendingRead {
  /** The request. */
  readonly to: ReplyAddress;
  /** When it had come. */
  readonly since: number;
  /** Number of pieces in flight. */
  pending: number;
  /** Whether all pieces were started. */
  ended: boolean;
  /** The first failure; after it no further piece is started. */
  failure: Failure | undefined;
  /** Byte of the export at which the piece starts that failed first. */
  failedAt: number;
}

/** Executes READs with chunks, structured or extended. */
export class ChunkedReads implements ReadCommand {
  readonly #tools: ReadTools;
  readonly #form: ChunkForm;
  readonly #long: LongRead;
  /** The current READ. */
  #request: NbdRequest = createRequest();
  /** First byte of the export that is not started. */
  #offset = 0;
  /** Bytes that are not started. */
  #rest = 0;
  #pending: PendingRead | undefined = undefined;
  /** When the current READ had come. */
  #since = 0;

  /**
   * Creates the command.
   *
   * @param tools The parts of the connection.
   * @param form Encodes the chunks of the negotiated dialect.
   */
  constructor(tools: ReadTools, form: ChunkForm) {
    this.#tools = tools;
    this.#form = form;
    this.#long = new LongRead(tools);
  }

  /** Whether the current READ waits for room in the reply queue. */
  get isWaiting(): boolean {
    return this.#rest > 0 || this.#long.isUnderWay;
  }

  /**
   * Starts a READ; see {@linkcode ReadCommand.start}.
   *
   * @param request The request.
   */
  start(request: NbdRequest): void {
    this.#since = this.#tools.batch.since;
    if (request.length === 0) return this.#end(request, this.#since);
    this.#request = request;
    this.#offset = request.offset;
    this.#rest = request.length;
    this.#pending = undefined;
    this.resume();
  }

  /** Continues the READ that waits, as far as the reply queue has room. */
  resume(): void {
    if (this.#long.isUnderWay) return this.#long.resume();
    while (this.#rest > 0) {
      if (this.#pending?.failure !== undefined) this.#rest = 0;
      else if (!this.#step()) return;
    }
    if (this.#pending === undefined) return;
    this.#pending.ended = true;
    this.#close(this.#pending);
  }

  /** @returns False if the reply queue has no room for a chunk. */
  #step(): boolean {
    const { device, replies } = this.#tools;
    const rest = this.#rest;
    const whole = (this.#request.flags & FLAG_DF) !== 0;
    const hole = device.leadingHole?.(this.#offset, rest) ?? 0;
    if (hole >= rest || (hole > 0 && !whole)) {
      if (!replies.hasRoom(this.#form.holeSize)) return false;
      this.#tellHole(Math.min(hole, rest));
      return true;
    }
    const length = whole ? rest : this.#dataLength();
    const size = this.#form.dataHeaderSize + length;
    if (isLong(size)) {
      this.#rest = 0;
      this.#long.start(this.#request, this.#since);
    } else if (replies.hasRoom(size)) {
      this.#read(length);
    } else return false;
    return true;
  }

  /** @returns Bytes of the next data chunk: up to the next known hole. */
  #dataLength(): number {
    const { device } = this.#tools;
    const offset = this.#offset;
    const rest = this.#rest;
    if (rest <= HOLE_STEP) return rest;
    const size = this.#form.dataHeaderSize + this.#request.length;
    const most = isLong(size)
      ? Math.min(rest, READ_PIECE_SIZE - offset % READ_PIECE_SIZE)
      : rest;
    if (device.leadingHole === undefined) return most;
    let length = HOLE_STEP - offset % HOLE_STEP;
    while (
      length < most && device.leadingHole(offset + length, rest - length) === 0
    ) length += HOLE_STEP;
    return Math.min(length, most);
  }

  #tellHole(length: number): void {
    const { replies } = this.#tools;
    const { holeSize } = this.#form;
    const at = replies.reserve(holeSize);
    this.#form.setHole(
      replies.view,
      at,
      this.#request,
      this.#offset,
      length,
      this.#isLast(length),
    );
    replies.advance(holeSize);
    this.#passInline(length);
  }

  #read(length: number): void {
    const { device, replies } = this.#tools;
    const target = replies.target(length);
    let completion: Completion;
    try {
      completion = device.read(target, this.#offset);
    } catch (error) {
      return this.#fail(error);
    }
    if (completion === undefined) {
      const isLast = this.#isLast(length);
      replies.commit(this.#request, this.#offset, length, isLast);
      this.#passInline(length);
    } else {
      this.#wait(replies.hold(target), completion);
    }
  }

  #wait(place: ReplyPlace, completion: Promise<void>): void {
    const { replies, pending, batch } = this.#tools;
    const offset = this.#offset;
    const read = this.#pending ??= {
      to: addressOf(this.#request),
      since: this.#since,
      pending: 0,
      ended: false,
      failure: undefined,
      failedAt: 0,
    };
    read.pending++;
    pending.track(completion, read.to, false, (failure) => {
      read.pending--;
      if (failure !== undefined) {
        replies.cancel(place);
        noteFailure(read, failure, offset);
      } else {
        const isLast = read.ended && read.pending === 0 &&
          read.failure === undefined;
        replies.release(place, read.to, offset, isLast);
        if (isLast) return batch.answered(COMMAND_READ, read.since);
      }
      if (read.ended) this.#close(read);
    });
    this.#pass(place.data.length);
  }

  /** Whether `length` bytes, read inline, complete the reply. */
  #isLast(length: number): boolean {
    return length === this.#rest && this.#pending === undefined;
  }

  #pass(length: number): void {
    this.#offset += length;
    this.#rest -= length;
  }

  /** Passes what was answered at once, which may be the end of the READ. */
  #passInline(length: number): void {
    this.#pass(length);
    if (this.#rest > 0 || this.#pending !== undefined) return;
    this.#tools.batch.answered(COMMAND_READ, this.#since);
  }

  #fail(error: unknown): void {
    const { replies, pending, counters, batch } = this.#tools;
    const failure = pending.failureOf(error, this.#request, false);
    this.#rest = 0;
    if (this.#pending !== undefined) {
      return noteFailure(this.#pending, failure, this.#offset);
    }
    counters.errors++;
    batch.answered(COMMAND_READ, this.#since);
    replies.fail(this.#request, failure, this.#offset);
  }

  /** Completes the reply to a READ once no piece of it is in flight. */
  #close(read: PendingRead): void {
    const { replies, counters, batch } = this.#tools;
    if (read.pending > 0) return;
    if (read.failure === undefined) return this.#end(read.to, read.since);
    counters.errors++;
    batch.answered(COMMAND_READ, read.since);
    replies.fail(read.to, read.failure, read.failedAt);
  }

  #end(to: ReplyAddress, since: number): void {
    const { replies, batch } = this.#tools;
    batch.answered(COMMAND_READ, since);
    const at = replies.reserve(this.#form.shortReplyMax);
    replies.advance(this.#form.setEnd(replies.view, at, to));
  }
}

function noteFailure(
  read: PendingRead,
  failure: Failure,
  offset: number,
): void {
  if (read.failure !== undefined) return;
  read.failure = failure;
  read.failedAt = offset;
}
