/**
 * One connection on its lane: what can be read and written at once is, and
 * everything else is handed over to the server as it came, which answers it on
 * the same connection.
 *
 * A request that is handed over may be carried out after some that came later:
 * clients may not rely on an order of requests that are in flight at once.
 *
 * @module
 */

// One by one: a thread loads no more than it needs.
import type { LeasedDisk } from "../../../device/leases/mod.ts";
import type { NativeBuffer } from "../../../device/linux/mod.ts";
import {
  addressOf,
  COMMAND_FLUSH,
  COMMAND_READ,
  COMMAND_WRITE,
  FLAG_PAYLOAD_LEN,
  LANE_READ_MAX,
  type NbdRequest,
  REPLY_BUFFER_SIZE,
  type ReplyAddress,
  type ReplyForm,
} from "../../wire/mod.ts";
import { Batch, type ExportProperties } from "../export/mod.ts";
import {
  checkRequest,
  NEXT_END,
  NEXT_MORE,
  NEXT_WHOLE,
  pieceLength,
  type ReceiveBuffer,
  RequestReader,
} from "../transmission/mod.ts";
import type { HandOver } from "./hand_over.ts";
import type { LaneControl } from "./lane_control.ts";
import type { LaneFlushes } from "./lane_flushes.ts";
import type { LaneSocket } from "./lane_socket.ts";
import type { OwnerQuestions } from "./owner_questions.ts";

/** What a connection on its lane is made of. */
export interface LaneConnectionParts {
  /** What was agreed on, but for the metadata contexts. */
  readonly properties: ExportProperties;
  /** What replies look like. */
  readonly form: ReplyForm;
  /** What is leased. */
  readonly disk: LeasedDisk;
  /** What is shared with the server. */
  readonly control: LaneControl;
  /** Where requests come. */
  readonly received: ReceiveBuffer;
  /** Where that is. */
  readonly address: number;
  /** Where replies are built. */
  readonly replies: NativeBuffer;
  /** Decodes requests. */
  readonly reader: RequestReader;
  /** Receives and sends. */
  readonly socket: LaneSocket;
  /** What the server is to do. */
  readonly handOver: HandOver;
  /** What the server is asked for. */
  readonly questions: OwnerQuestions;
  /** What makes writes durable. */
  readonly flushes: LaneFlushes;
}

/** A WRITE that is taken in pieces, as they come or chunk by chunk. */
interface TakenWrite {
  readonly to: ReplyAddress;
  /** When its header had come. */
  readonly since: number;
  offset: number;
  rest: number;
}

/** Serves one connection. */
export class LaneConnection {
  readonly #properties: ExportProperties;
  /** The flags of a WRITE that the thread does by itself. */
  readonly #writeFlags: number;
  readonly #headerSize: number;
  readonly #form: ReplyForm;
  readonly #dataHeaderSize: number;
  readonly #disk: LeasedDisk;
  readonly #control: LaneControl;
  readonly #received: ReceiveBuffer;
  readonly #receivedAt: number;
  readonly #replies: DataView;
  readonly #repliesAt: number;
  readonly #reader: RequestReader;
  readonly #socket: LaneSocket;
  readonly #handOver: HandOver;
  readonly #questions: OwnerQuestions;
  readonly #flushes: LaneFlushes;
  /** Bytes that are to be handed over, whatever they are. */
  #toHand = 0;
  #large: TakenWrite | undefined = undefined;
  /** Requests that came since it was last waited for more. */
  #batch = 0;
  /** Those of them that the thread has answered. */
  readonly #answered: Batch;

  /**
   * Begins with the first request.
   *
   * @param parts What it is made of.
   */
  constructor(parts: LaneConnectionParts) {
    const { properties, form, received, replies, reader } = parts;
    this.#properties = properties;
    this.#writeFlags = properties.extended ? FLAG_PAYLOAD_LEN : 0;
    this.#headerSize = reader.headerSize;
    this.#form = form;
    this.#dataHeaderSize = form.dataHeaderSize;
    this.#disk = parts.disk;
    this.#control = parts.control;
    this.#answered = new Batch(parts.control.times);
    this.#received = received;
    this.#receivedAt = parts.address;
    this.#replies = replies.view;
    this.#repliesAt = replies.address;
    this.#reader = reader;
    this.#socket = parts.socket;
    this.#handOver = parts.handOver;
    this.#questions = parts.questions;
    this.#flushes = parts.flushes;
  }

  /**
   * Executes what has come, and waits for more.
   *
   * @returns Whether there was any.
   */
  turn(): boolean {
    const [socket, handOver] = [this.#socket, this.#handOver];
    this.#answered.since = performance.now();
    this.#control.isAtWork = true;
    // Half a request, too: the server waits for what is missing.
    if (this.#control.isDiverted && this.#large === undefined) this.#handAll();
    this.#questions.beginBatch();
    while (this.#step());
    socket.send();
    this.#answered.end();
    handOver.send();
    this.#control.isAtWork = false;
    if (socket.isGone) return false;
    const batch = this.#batch;
    this.#batch = 0;
    handOver.keepStep(batch);
    return socket.receive(batch, this.#large !== undefined);
  }

  /** @returns False if more has to come first. */
  #step(): boolean {
    const { available } = this.#received;
    if (available === 0 || this.#socket.isGone) return false;
    if (this.#toHand > 0) {
      const length = Math.min(available, this.#toHand);
      this.#toHand -= length;
      this.#handOver.take(length);
      return true;
    }
    if (this.#large !== undefined) return this.#takePiece(this.#large);
    const next = this.#reader.next();
    if (next === NEXT_MORE) return false;
    const { request } = this.#reader;
    if (next === NEXT_END || this.#isLong(request)) this.#handAll();
    else {
      this.#batch++;
      if (!this.#perform(request, next === NEXT_WHOLE)) {
        this.#toHand = this.#headerSize + this.#reader.payloadLength;
      }
    }
    return true;
  }

  /** @returns False if it is the server's to do. */
  #perform(request: NbdRequest, isWhole: boolean): boolean {
    switch (request.command) {
      case COMMAND_READ:
        return request.flags === 0 && this.#passes(request) &&
          this.#read(request);
      case COMMAND_WRITE: {
        const { flags, length, offset } = request;
        if (flags !== this.#writeFlags || length === 0) return false;
        if (!this.#passes(request)) return false;
        if (isWhole && length <= this.#disk.reach(offset)) {
          return this.#write(request);
        }
        // A reply of this dialect tells the offset, also that of a rest.
        if (this.#properties.extended) return false;
        this.#received.skip(this.#headerSize);
        const { since } = this.#answered;
        this.#large = { to: addressOf(request), since, offset, rest: length };
        return true;
      }
      case COMMAND_FLUSH:
        return request.flags === 0 && this.#passes(request) &&
          this.#flush(request);
      default:
        return false;
    }
  }

  /** From now on everything is the server's. */
  #handAll(): void {
    this.#toHand = Infinity;
  }

  /** The server refuses what does not. */
  #passes(request: NbdRequest): boolean {
    const properties = this.#properties;
    return checkRequest(properties, request, properties.size) === undefined;
  }

  /**
   * Whether the answer may go in parts that nothing may come between: from
   * then on the server answers everything.
   */
  #isLong({ command, flags, length }: NbdRequest): boolean {
    const mayComeBetween = this.#properties.chunked && flags === 0;
    return command === COMMAND_READ && !mayComeBetween &&
      this.#dataHeaderSize + length > REPLY_BUFFER_SIZE;
  }

  /** @returns False if it is the server's to read. */
  #read(request: NbdRequest): boolean {
    const { offset, length } = request;
    if (length === 0) return false;
    if (length > Math.min(LANE_READ_MAX, this.#disk.reach(offset))) {
      return this.#readLong(request);
    }
    if (!this.#readChunk(request, offset, length, true)) return false;
    this.#received.skip(this.#headerSize);
    return true;
  }

  /**
   * Answers a READ chunk by chunk, as far as the leases reach. Sending waits
   * for the client, so little of it is in memory at any time.
   *
   * @returns False if all of it is the server's to read.
   */
  #readLong(request: NbdRequest): boolean {
    const { chunked, extended } = this.#properties;
    // A reply of the extended dialect tells the offset, also that of a rest.
    if (!chunked || extended) return false;
    let { offset, length: rest } = request;
    const to = addressOf(request);
    while (rest > 0 && !this.#socket.isGone) {
      const whole = LANE_READ_MAX - offset % LANE_READ_MAX;
      const length = Math.min(rest, whole, this.#disk.reach(offset));
      if (!this.#readChunk(to, offset, length, length === rest)) break;
      offset += length;
      rest -= length;
    }
    if (rest === request.length) return false;
    this.#received.skip(this.#headerSize);
    if (rest > 0) this.#handRest(COMMAND_READ, to, offset, rest);
    return true;
  }

  /** @returns False if it is the server's to read. */
  #readChunk(
    to: ReplyAddress,
    offset: number,
    length: number,
    isLast: boolean,
  ): boolean {
    const size = this.#dataHeaderSize + length;
    const at = this.#socket.reserve(size);
    const target = this.#repliesAt + at + this.#dataHeaderSize;
    if (!this.#disk.read(target, length, offset)) {
      this.#handOver.want(offset);
      return false;
    }
    this.#form.setData(this.#replies, at, to, offset, length, isLast);
    this.#socket.used = at + size;
    this.#control.countReads(isLast ? 1 : 0, length);
    if (isLast) this.#answered.answered(COMMAND_READ, this.#answered.since);
    return true;
  }

  /** @returns False if it is the server's to write. */
  #write(request: NbdRequest): boolean {
    const { offset, length } = request;
    const at = this.#receivedAt + this.#received.start + this.#headerSize;
    if (!this.#disk.write(at, length, offset)) {
      const isAsked = this.#questions.prepareBatch();
      if (!isAsked || !this.#disk.write(at, length, offset)) {
        this.#handOver.want(offset);
        return false;
      }
    }
    this.#received.skip(this.#headerSize + length);
    this.#control.countWrites(1, length);
    this.#answered.answered(COMMAND_WRITE, this.#answered.since);
    this.#succeed(request);
    return true;
  }

  /** @returns False if more of it has to come first. */
  #takePiece(large: TakenWrite): boolean {
    const { offset, rest } = large;
    const inChunk = Math.min(rest, this.#disk.reach(offset));
    const length = pieceLength(offset, inChunk, this.#received.available);
    if (length === 0) return false;
    const at = this.#receivedAt + this.#received.start;
    if (!this.#disk.write(at, length, offset)) {
      this.#questions.prepareRange(offset, rest);
      if (!this.#disk.write(at, length, offset)) {
        this.#handOver.want(offset);
        this.#large = undefined;
        this.#handRest(COMMAND_WRITE, large.to, offset, rest);
        this.#toHand = rest;
        return true;
      }
    }
    this.#received.skip(length);
    large.offset += length;
    large.rest -= length;
    // What is left at the end may be another request, which counts itself.
    this.#control.countWrites(large.rest === 0 ? 1 : 0, length);
    if (large.rest === 0) {
      this.#large = undefined;
      this.#answered.answered(COMMAND_WRITE, large.since);
      this.#succeed(large.to);
    }
    return true;
  }

  #handRest(
    command: number,
    to: ReplyAddress,
    offset: number,
    rest: number,
  ): void {
    // Replies must not wait behind what is handed over.
    this.#socket.send();
    this.#handOver.sendRest(command, to, offset, rest);
  }

  /**
   * One `fdatasync` answers all FLUSHes that have come: clients pipeline them.
   *
   * @returns False if the server has to do it.
   */
  #flush(request: NbdRequest): boolean {
    // Any other request in the buffer would have to wait for the disk.
    const count = this.#handOver.isIdle ? this.#countFlushes() : 0;
    if (count === 0 || !this.#flushes.flush(count)) return false;
    for (let i = 0; i < count; i++) {
      if (i > 0) this.#reader.next();
      this.#received.skip(this.#headerSize);
      this.#answered.answered(COMMAND_FLUSH, this.#answered.since);
      this.#succeed(request);
    }
    this.#batch += count - 1;
    return true;
  }

  /** How many FLUSHes the buffer holds; 0 if it holds anything else. */
  #countFlushes(): number {
    const ahead = this.#received.ahead();
    const reader = new RequestReader(ahead, this.#properties.extended);
    let count = 0;
    while (ahead.available > 0) {
      if (reader.next() !== NEXT_WHOLE) return 0;
      const { command, flags } = reader.request;
      if (command !== COMMAND_FLUSH || flags !== 0) return 0;
      if (!this.#passes(reader.request)) return 0;
      ahead.skip(this.#headerSize);
      count++;
    }
    return count;
  }

  #succeed(to: ReplyAddress): void {
    const at = this.#socket.reserve(this.#form.shortReplyMax);
    this.#socket.used = at + this.#form.setSuccess(this.#replies, at, to);
  }
}
