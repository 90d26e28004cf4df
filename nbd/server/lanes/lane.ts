/**
 * One connection, served by a thread of its own: what can be read and written
 * at once is, and everything else is handed over to the server as it came,
 * which answers it on the same connection.
 *
 * The thread waits in one system call for what comes, executes all complete
 * requests, and sends their replies with another one: no event loop, no
 * promise. What it needs is a lease of the chunk (`device/leases/leases.ts`). Without
 * one it asks for it as it hands the request over.
 *
 * A request that is handed over may be carried out after one that came later:
 * clients may not rely on an order of requests that are under way at once.
 *
 * @module
 */

// One by one: a thread loads no more than it needs.
import { LeasedDisk } from "../../../device/leases/mod.ts";
import {
  NativeBuffer,
  NativeIo,
  NativeSockets,
} from "../../../device/linux/mod.ts";
import {
  addressOf,
  ChunkForm,
  COMMAND_DISCONNECT,
  COMMAND_READ,
  COMMAND_WRITE,
  createRequest,
  decodeExtendedRequest,
  decodeRequest,
  EXTENDED_REQUEST_SIZE,
  FLAG_PAYLOAD_LEN,
  hasPayload,
  LANE_ANSWER_MS,
  LANE_BACKLOG_MAX,
  LANE_MESSAGE_COST,
  LANE_READ_MAX,
  LANE_WANTS_MAX,
  type NbdRequest,
  PAYLOAD_WHOLE_MAX,
  POLL_US,
  RECEIVE_BUFFER_SIZE,
  REPLY_BUFFER_SIZE,
  type ReplyAddress,
  type ReplyForm,
  REQUEST_MAGIC,
  REQUEST_SIZE,
  SimpleForm,
} from "../../wire/mod.ts";
import type { ExportFacts } from "../export/mod.ts";
import { checkRequest, pieceLength } from "../transmission/mod.ts";
import { Polling } from "./polling.ts";
import { LaneControl, type LaneJob, type LaneReport } from "./lane_control.ts";

/** A write that is taken in pieces as they come. */
interface TakenWrite {
  readonly to: ReplyAddress;
  offset: number;
  rest: number;
}

/** Serves connections, one after the other. */
export class Lane {
  readonly #report: (report: LaneReport) => void;
  readonly #native = { sockets: new NativeSockets(), io: new NativeIo() };
  readonly #received = new NativeBuffer(RECEIVE_BUFFER_SIZE);
  readonly #replies = new NativeBuffer(2 * LANE_READ_MAX);

  /**
   * Takes its buffers.
   *
   * @param report Where to tell what happens.
   */
  constructor(report: (report: LaneReport) => void) {
    this.#report = report;
  }

  /**
   * Serves a connection until it has ended.
   *
   * @param job Which one, and how.
   */
  serve(job: LaneJob): void {
    const [received, replies] = [this.#received, this.#replies];
    const buffers = { received, replies };
    const connection = new LaneConnection(
      job,
      buffers,
      this.#native,
      this.#report,
    );
    // One call for each batch, so that the engine has something to compile.
    while (connection.turn());
    this.#report({ kind: "ended" });
  }
}

/** One connection on its lane. */
class LaneConnection {
  readonly #descriptor: number;
  readonly #facts: ExportFacts;
  readonly #extended: boolean;
  readonly #requestSize: number;
  readonly #blockSize: number;
  readonly #chunkSize: number;
  readonly #form: ReplyForm;
  readonly #disk: LeasedDisk;
  readonly #control: LaneControl;
  readonly #sockets: NativeSockets;
  readonly #report: (report: LaneReport) => void;
  readonly #received: NativeBuffer;
  readonly #replies: NativeBuffer;
  readonly #request = createRequest();

  /** In the receive buffer: what has come and is not dealt with. */
  #start = 0;
  #end = 0;
  /** In the receive buffer: what is to be handed over. */
  #handStart = 0;
  #handEnd = 0;
  /** Bytes that are to be handed over, whatever they are. */
  #toHand = 0;
  #large: TakenWrite | undefined = undefined;
  #wants: number[] = [];
  /** Bytes of replies that wait to be sent. */
  #used = 0;
  #isGone = false;
  readonly #polling = new Polling();
  /** Requests that came since it was last waited for more. */
  #batch = 0;

  constructor(
    job: LaneJob,
    buffers: { received: NativeBuffer; replies: NativeBuffer },
    { sockets, io }: { sockets: NativeSockets; io: NativeIo },
    report: (report: LaneReport) => void,
  ) {
    const { early, facts, leases } = job;
    const { chunked, extended } = facts;
    this.#descriptor = job.descriptor;
    this.#facts = facts;
    this.#extended = extended;
    this.#requestSize = extended ? EXTENDED_REQUEST_SIZE : REQUEST_SIZE;
    this.#blockSize = Math.min(
      facts.preferredBlockSize,
      PAYLOAD_WHOLE_MAX,
    );
    this.#chunkSize = leases.chunkSize;
    this.#form = chunked ? new ChunkForm(extended) : new SimpleForm();
    this.#disk = new LeasedDisk(leases, job.thread, io);
    this.#control = new LaneControl(job.control);
    this.#sockets = sockets;
    this.#report = report;
    this.#received = buffers.received;
    this.#replies = buffers.replies;
    this.#received.bytes.set(early);
    this.#end = early.length;
  }

  /**
   * Executes what has come, and waits for more.
   *
   * @returns Whether there was any.
   */
  turn(): boolean {
    while (this.#step());
    this.#send();
    this.#handOver();
    if (this.#isGone) return false;
    this.#control.awaitBacklog(LANE_BACKLOG_MAX);
    return this.#receive();
  }

  #receive(): boolean {
    const { bytes, address } = this.#received;
    if (this.#start > 0) {
      bytes.copyWithin(0, this.#start, this.#end);
      this.#end -= this.#start;
      this.#start = 0;
    }
    const room = bytes.length - this.#end;
    const at = address + this.#end;
    let count = this.#receiveSoon();
    while (count < 0) {
      if (this.#control.isDiverted) {
        // Half a request is the server's, too.
        if (this.#end > 0 && this.#large === undefined) return true;
        this.#rest();
      }
      count = this.#sockets.receive(this.#descriptor, at, room);
    }
    this.#end += count;
    this.#control.noteActivity();
    return count > 0;
  }

  /**
   * Waits for bytes and receives none, so that a server that stops can know
   * that nothing is left: neither here, while the thread rests, nor in the
   * system, which the server asks.
   */
  #rest(): void {
    if (this.#large !== undefined) return;
    this.#control.rest(true);
    while (this.#sockets.awaitBytes(this.#descriptor) < 0);
    this.#control.rest(false);
  }

  /** @returns -1 if it has to be waited. */
  #receiveSoon(): number {
    const isWorthIt = this.#polling.isWorthIt(this.#batch);
    this.#batch = 0;
    if (!isWorthIt || !this.#control.isAlone) return -1;
    const { bytes } = this.#received;
    const count = this.#sockets.receiveSoon(
      this.#descriptor,
      bytes,
      this.#end,
      bytes.length,
      POLL_US / 1000,
    );
    this.#polling.ended(count < 0);
    return count;
  }

  /** @returns False if more has to come first. */
  #step(): boolean {
    const available = this.#end - this.#start;
    if (available === 0 || this.#isGone) return false;
    if (this.#toHand > 0) {
      const length = Math.min(available, this.#toHand);
      this.#toHand -= length;
      this.#hand(length);
      return true;
    }
    if (this.#large !== undefined) return this.#takePiece(this.#large);
    if (this.#control.isDiverted) {
      // Half a request, too: the server waits for what is missing.
      this.#toHand = Infinity;
      return true;
    }
    if (available < this.#requestSize) return false;
    const request = this.#request;
    if (
      !this.#decode(request) || request.command === COMMAND_DISCONNECT ||
      this.#isLong(request)
    ) {
      this.#toHand = Infinity;
      return true;
    }
    this.#batch++;
    const { length, flags } = request;
    const taken = this.#extended ? FLAG_PAYLOAD_LEN : 0;
    if (request.command === COMMAND_READ) {
      if (flags === 0 && this.#passes(request) && this.#read(request)) {
        return true;
      }
    } else if (
      request.command === COMMAND_WRITE && flags === taken && length > 0 &&
      this.#passes(request)
    ) {
      if (length <= PAYLOAD_WHOLE_MAX) {
        if (available < this.#requestSize + length) return false;
        if (this.#write(request)) return true;
      } else if (!this.#extended) {
        this.#start += this.#requestSize;
        const { offset } = request;
        this.#large = { to: addressOf(request), offset, rest: length };
        return true;
      }
    }
    this.#toHand = this.#requestSize;
    if (hasPayload(request, this.#extended)) this.#toHand += length;
    return true;
  }

  #decode(request: NbdRequest): boolean {
    const { view } = this.#received;
    return this.#extended
      ? decodeExtendedRequest(view, this.#start, request)
      : decodeRequest(view, this.#start, request);
  }

  /** The server refuses what does not. */
  #passes(request: NbdRequest): boolean {
    const facts = this.#facts;
    return checkRequest(facts, request, facts.size) === undefined;
  }

  /**
   * Whether the answer may go in parts that nothing may come between: from
   * then on the server answers everything.
   */
  #isLong({ command, length }: NbdRequest): boolean {
    return command === COMMAND_READ &&
      this.#form.dataHeaderSize + length > REPLY_BUFFER_SIZE;
  }

  /** @returns False if it is the server's to read. */
  #read(request: NbdRequest): boolean {
    const { offset, length } = request;
    const { dataHeaderSize } = this.#form;
    if (length === 0 || length > LANE_READ_MAX) return false;
    const { view, address } = this.#replies;
    if (this.#used + dataHeaderSize + length > view.byteLength) this.#send();
    const at = this.#used;
    if (!this.#disk.read(address + at + dataHeaderSize, length, offset)) {
      this.#want(offset);
      return false;
    }
    this.#form.setData(view, at, request, offset, length, true);
    this.#control.countRead(length);
    this.#used = at + dataHeaderSize + length;
    this.#start += this.#requestSize;
    return true;
  }

  /** @returns False if it is the server's to write. */
  #write(request: NbdRequest): boolean {
    const { offset, length } = request;
    const at = this.#received.address + this.#start + this.#requestSize;
    if (!this.#disk.write(at, length, offset)) {
      this.#want(offset);
      return false;
    }
    this.#start += this.#requestSize + length;
    this.#control.countWrites(1, length);
    this.#succeed(request);
    return true;
  }

  /** @returns False if more of it has to come first. */
  #takePiece(large: TakenWrite): boolean {
    const { offset, rest } = large;
    const available = this.#end - this.#start;
    const inChunk = Math.min(rest, this.#disk.reach(offset));
    const part = { offset, rest: inChunk, failure: undefined };
    const length = pieceLength(part, available, this.#blockSize);
    if (length === 0) return false;
    const at = this.#received.address + this.#start;
    if (
      !this.#disk.write(at, length, offset) &&
      !(this.#prepare(offset) && this.#disk.write(at, length, offset))
    ) {
      this.#want(offset);
      this.#handRest(large);
      return true;
    }
    this.#start += length;
    large.offset += length;
    large.rest -= length;
    // What is left at the end may be another request, which counts itself.
    this.#control.countWrites(large.rest === 0 ? 1 : 0, length);
    if (large.rest === 0) {
      this.#large = undefined;
      this.#succeed(large.to);
    }
    return true;
  }

  /** To wait for a place costs less than to hand so many bytes over. */
  #prepare(offset: number): boolean {
    // Others may wait for these meanwhile.
    this.#send();
    const ask = () => this.#report({ kind: "prepare", offset });
    return this.#control.ask(ask, LANE_ANSWER_MS);
  }

  #succeed(to: ReplyAddress): void {
    const { view } = this.#replies;
    if (this.#used + this.#form.shortReplyMax > view.byteLength) this.#send();
    this.#used += this.#form.setSuccess(view, this.#used, to);
  }

  /** What is left of a write becomes a request of its own, with its cookie. */
  #handRest({ to, offset, rest }: TakenWrite): void {
    this.#large = undefined;
    this.#handOver();
    const bytes = new Uint8Array(REQUEST_SIZE);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, REQUEST_MAGIC);
    view.setUint16(6, COMMAND_WRITE);
    view.setInt32(8, to.cookieHigh);
    view.setInt32(12, to.cookieLow);
    view.setUint32(16, Math.floor(offset / 2 ** 32));
    view.setUint32(20, offset % 2 ** 32);
    view.setUint32(24, rest);
    this.#tell(bytes);
    this.#toHand = rest;
  }

  #want(offset: number): void {
    const wants = this.#wants;
    const chunk = Math.floor(offset / this.#chunkSize);
    const last = Math.floor((wants.at(-1) ?? -1) / this.#chunkSize);
    if (chunk !== last && wants.length < LANE_WANTS_MAX) wants.push(offset);
  }

  /** The next bytes are the server's. */
  #hand(length: number): void {
    if (this.#handEnd !== this.#start) {
      this.#handOver();
      this.#handStart = this.#start;
    }
    this.#start += length;
    this.#handEnd = this.#start;
  }

  #handOver(): void {
    const [start, end] = [this.#handStart, this.#handEnd];
    // What comes next in the buffer may be other bytes at the same place.
    this.#handStart = this.#handEnd = -1;
    if (end > start) this.#tell(this.#received.bytes.slice(start, end));
  }

  #tell(bytes: Uint8Array<ArrayBuffer>): void {
    const control = this.#control;
    if (control.backlog > LANE_BACKLOG_MAX) {
      // What is done is answered before the thread waits for the server.
      this.#send();
      control.awaitBacklog(LANE_BACKLOG_MAX);
    }
    control.addBacklog(bytes.length + LANE_MESSAGE_COST);
    this.#report({ kind: "bytes", bytes, wants: this.#wants });
    this.#wants = [];
  }

  #send(): void {
    if (this.#used === 0) return;
    const { address } = this.#replies;
    this.#control.lock();
    const done = this.#sockets.send(this.#descriptor, address, this.#used);
    this.#control.unlock();
    this.#used = 0;
    if (!done) this.#isGone = true;
  }
}
