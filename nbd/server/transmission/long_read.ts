/**
 * A READ whose reply has one header for more data than a reply buffer holds: a
 * long READ with simple replies, or with DF. The server reads and sends the
 * data part by part, so that it needs no more memory than any other READ.
 *
 * No other reply may come between the parts, so the server holds other replies
 * meanwhile. If a part fails after the header is sent, the server closes the
 * connection, because the reply cannot report the failure any more.
 *
 * Source: NBD `doc/proto.md`, section "Simple reply message".
 *
 * @module
 */

import type { BlockDevice, Completion } from "../../../device/block/mod.ts";
import type { Batch, NbdCounters } from "../export/mod.ts";
import {
  addressOf,
  COMMAND_READ,
  createRequest,
  type Failure,
  type NbdRequest,
  READ_PIECE_SIZE,
  type ReplyAddress,
  type ReplyForm,
} from "../../wire/mod.ts";
import type { PendingRequests } from "./pending_requests.ts";
import type { ReplyQueue } from "./reply_queue.ts";

/** The parts of a connection that READ uses. */
export interface ReadTools {
  /** The exported device. */
  readonly device: BlockDevice;
  /** Queue that receives the replies. */
  readonly replies: ReplyQueue;
  /** Encodes replies of the negotiated dialect. */
  readonly form: ReplyForm;
  /** Tracks reads that the device has in flight. */
  readonly pending: PendingRequests;
  /** Counts error replies. */
  readonly counters: NbdCounters;
  /** Learns which requests are answered. */
  readonly batch: Batch;
  /** Called when a reply that is partly sent cannot be completed. */
  readonly onBroken: () => void;
}

/** Executes the long READs of one connection, one at a time. */
export class LongRead {
  readonly #tools: ReadTools;
  #to: ReplyAddress = createRequest();
  #start = 0;
  #length = 0;
  /** Bytes that are read and queued. */
  #done = 0;
  /** Whether the device has a part in flight. */
  #isReading = false;
  #since = 0;

  /**
   * Creates the command.
   *
   * @param tools The parts of the connection.
   */
  constructor(tools: ReadTools) {
    this.#tools = tools;
  }

  /** Whether parts of the current READ are missing. */
  get isUnderWay(): boolean {
    return this.#done < this.#length;
  }

  /**
   * Starts a READ.
   *
   * *Requires:* {@linkcode isUnderWay} is false, and the request has passed the
   * gate.
   *
   * @param request The request; copied.
   * @param since When it had come.
   */
  start(request: NbdRequest, since: number): void {
    this.#since = since;
    this.#to = addressOf(request);
    this.#start = request.offset;
    this.#length = request.length;
    this.#done = 0;
    this.resume();
  }

  /** Reads parts while the reply queue has room. */
  resume(): void {
    while (this.isUnderWay && !this.#isReading) {
      if (!this.#step()) return;
    }
  }

  /** @returns False if the reply queue has no room for a part. */
  #step(): boolean {
    const { device, replies, form, pending } = this.#tools;
    const offset = this.#start + this.#done;
    const header = this.#done === 0 ? form.dataHeaderSize : 0;
    const length = Math.min(
      this.#length - this.#done,
      READ_PIECE_SIZE - offset % READ_PIECE_SIZE,
    );
    if (!replies.hasRoom(header + length)) return false;
    // READs in flight hold places in the buffers. Their replies are held during
    // this one, so the places would stay occupied: wait until none is left.
    if (header > 0 && replies.hasPlaces) return false;
    if (header > 0) pending.hold();
    const at = replies.reserve(header + length);
    const data = replies.bytes.subarray(at + header, at + header + length);
    let completion: Completion;
    try {
      completion = device.read(data, offset);
    } catch (error) {
      this.#fail(pending.failureOf(error, this.#to, false));
      return true;
    }
    if (header > 0) {
      const { view } = replies;
      form.setData(view, at, this.#to, this.#start, this.#length, true);
    }
    if (completion === undefined) {
      replies.advance(header + length);
      this.#pass(length);
    } else this.#wait(at, header, length, completion);
    return true;
  }

  #wait(
    at: number,
    header: number,
    length: number,
    completion: Promise<void>,
  ): void {
    const { replies, pending } = this.#tools;
    const place = replies.holdPart(at, header + length);
    this.#isReading = true;
    pending.trackPart(completion, this.#to, (failure) => {
      this.#isReading = false;
      if (failure === undefined) {
        replies.releasePart(place);
        return this.#pass(length);
      }
      replies.cancel(place);
      this.#fail(failure);
    });
  }

  #pass(length: number): void {
    this.#done += length;
    if (this.isUnderWay) return;
    this.#tools.batch.answered(COMMAND_READ, this.#since);
    this.#tools.pending.letGo();
  }

  #fail(failure: Failure): void {
    const { replies, pending, counters, onBroken } = this.#tools;
    const hasBegun = this.#done > 0;
    this.#done = this.#length;
    counters.errors++;
    this.#tools.batch.answered(COMMAND_READ, this.#since);
    if (hasBegun) onBroken();
    else replies.fail(this.#to, failure);
    pending.letGo();
  }
}
