/**
 * READ, with simple replies or in chunks: one interface, chosen once per
 * connection. Data goes straight from the device into a reply buffer.
 *
 * A READ that is answered in chunks is answered with one, unless part of it is
 * known to be a hole, which is told and not sent, or it does not fit into a
 * reply buffer. Then it goes piece by piece, as there is room.
 *
 * Source: NBD `doc/proto.md`, section "Request types".
 *
 * @module
 */

import type { Completion } from "../../../device/block/mod.ts";
import {
  addressOf,
  type ChunkForm,
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

/** Carries out READ requests, one after the other. */
export interface ReadCommand {
  /** A read was started that has to wait for room. */
  readonly isWaiting: boolean;
  /**
   * Starts a read. Not while one is waiting.
   *
   * @param request It has passed the gate; it stays as it is while the read
   *   is waiting.
   */
  start(request: NbdRequest): void;
  /** Goes on with the read that is waiting, if there is room now. */
  resume(): void;
}

/** Whether a reply has to be sent in parts. */
function isLong(size: number): boolean {
  return size > REPLY_BUFFER_SIZE;
}

/** READ with simple replies: all data behind one header. */
export class SimpleReads implements ReadCommand {
  readonly #tools: ReadTools;
  readonly #long: LongRead;
  #waiting: NbdRequest | undefined = undefined;

  /**
   * Creates the command.
   *
   * @param tools What it works with.
   */
  constructor(tools: ReadTools) {
    this.#tools = tools;
    this.#long = new LongRead(tools);
  }

  /** A read was started that has to wait for room. */
  get isWaiting(): boolean {
    return this.#waiting !== undefined || this.#long.isUnderWay;
  }

  /**
   * Starts a read.
   *
   * @param request The request.
   */
  start(request: NbdRequest): void {
    const { device, replies, late, counters } = this.#tools;
    const { offset, length } = request;
    if (length === 0) return replies.succeed(request);
    if (isLong(SIMPLE_REPLY_SIZE + length)) return this.#long.start(request);
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
      return replies.fail(request, late.failureOf(error, request, false));
    }
    if (completion === undefined) {
      replies.commit(request, offset, length, true);
    } else {
      this.#wait(request, offset, replies.hold(target), completion);
    }
  }

  /** Goes on with the read that is waiting, if there is room now. */
  resume(): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting !== undefined) this.start(waiting);
    else if (this.#long.isUnderWay) this.#long.resume();
  }

  #wait(
    request: NbdRequest,
    offset: number,
    place: ReplyPlace,
    completion: Promise<void>,
  ): void {
    const { replies, late, counters } = this.#tools;
    const to = addressOf(request);
    late.track(completion, to, false, (failure) => {
      if (failure === undefined) {
        return replies.release(place, to, offset, true);
      }
      counters.errors++;
      replies.cancel(place);
      replies.fail(to, failure);
    });
  }
}

/** A read with pieces that the device finishes later. */
interface LateRead {
  readonly to: ReplyAddress;
  /** Pieces that are under way. */
  pending: number;
  /** No more pieces will come. */
  ended: boolean;
  /** The first failure, and where; then no more pieces are begun. */
  failure: Failure | undefined;
  failedAt: number;
}

/** READ in chunks, structured or extended. */
export class ChunkedReads implements ReadCommand {
  readonly #tools: ReadTools;
  readonly #form: ChunkForm;
  readonly #long: LongRead;
  /** The read that is carried out, and how far it is. */
  #request: NbdRequest = createRequest();
  #offset = 0;
  #rest = 0;
  #late: LateRead | undefined = undefined;

  /**
   * Creates the command.
   *
   * @param tools What it works with.
   * @param form What chunks look like.
   */
  constructor(tools: ReadTools, form: ChunkForm) {
    this.#tools = tools;
    this.#form = form;
    this.#long = new LongRead(tools);
  }

  /** A read was started that has to wait for room. */
  get isWaiting(): boolean {
    return this.#rest > 0 || this.#long.isUnderWay;
  }

  /**
   * Starts a read.
   *
   * @param request The request.
   */
  start(request: NbdRequest): void {
    if (request.length === 0) return this.#end(request);
    this.#request = request;
    this.#offset = request.offset;
    this.#rest = request.length;
    this.#late = undefined;
    this.resume();
  }

  /** Goes on with the read that is waiting, if there is room now. */
  resume(): void {
    if (this.#long.isUnderWay) return this.#long.resume();
    while (this.#rest > 0) {
      if (this.#late?.failure !== undefined) this.#rest = 0;
      else if (!this.#step()) return;
    }
    if (this.#late === undefined) return;
    this.#late.ended = true;
    this.#close(this.#late);
  }

  /** @returns False if there is no room for a chunk. */
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
      this.#long.start(this.#request);
    } else if (replies.hasRoom(size)) {
      this.#read(length);
    } else return false;
    return true;
  }

  /** How much to read for the next chunk. */
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
    this.#pass(length);
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
      this.#pass(length);
    } else {
      this.#wait(replies.hold(target), completion);
    }
  }

  #wait(place: ReplyPlace, completion: Promise<void>): void {
    const { replies, late } = this.#tools;
    const offset = this.#offset;
    const read = this.#late ??= {
      to: addressOf(this.#request),
      pending: 0,
      ended: false,
      failure: undefined,
      failedAt: 0,
    };
    read.pending++;
    late.track(completion, read.to, false, (failure) => {
      read.pending--;
      if (failure !== undefined) {
        replies.cancel(place);
        noteFailure(read, failure, offset);
      } else {
        const isLast = read.ended && read.pending === 0 &&
          read.failure === undefined;
        replies.release(place, read.to, offset, isLast);
        if (isLast) return;
      }
      if (read.ended) this.#close(read);
    });
    this.#pass(place.data.length);
  }

  /** Whether so much, done at once, completes the answer. */
  #isLast(length: number): boolean {
    return length === this.#rest && this.#late === undefined;
  }

  #pass(length: number): void {
    this.#offset += length;
    this.#rest -= length;
  }

  #fail(error: unknown): void {
    const { replies, late, counters } = this.#tools;
    const failure = late.failureOf(error, this.#request, false);
    this.#rest = 0;
    if (this.#late !== undefined) {
      return noteFailure(this.#late, failure, this.#offset);
    }
    counters.errors++;
    replies.fail(this.#request, failure, this.#offset);
  }

  /** Completes an answer that has ended, when nothing of it is under way. */
  #close(read: LateRead): void {
    const { replies, counters } = this.#tools;
    if (read.pending > 0) return;
    if (read.failure === undefined) return this.#end(read.to);
    counters.errors++;
    replies.fail(read.to, read.failure, read.failedAt);
  }

  #end(to: ReplyAddress): void {
    const { replies } = this.#tools;
    const at = replies.reserve(this.#form.shortReplyMax);
    replies.advance(this.#form.setEnd(replies.view, at, to));
  }
}

function noteFailure(read: LateRead, failure: Failure, offset: number): void {
  if (read.failure !== undefined) return;
  read.failure = failure;
  read.failedAt = offset;
}
