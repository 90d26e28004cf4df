/**
 * A READ whose answer has one header for more data than a reply buffer holds:
 * a long one with a simple reply, or with DF. The data is read and sent part
 * by part, so that it costs no more memory than any other.
 *
 * Nothing may come between the parts, so other answers are held meanwhile. A
 * part that cannot be read once the header has promised it leaves nothing but
 * to end the connection, as the protocol has it.
 *
 * Source: NBD `doc/proto.md`, section "Simple reply message".
 *
 * @module
 */

import type { BlockDevice, Completion } from "../../../device/block/mod.ts";
import type { NbdCounters } from "../export/mod.ts";
import {
  addressOf,
  createRequest,
  type Failure,
  type NbdRequest,
  READ_PIECE_SIZE,
  type ReplyAddress,
  type ReplyForm,
} from "../../wire/mod.ts";
import type { LateRequests } from "./pending_requests.ts";
import type { ReplyQueue } from "./reply_queue.ts";

/** What reads work with. */
export interface ReadTools {
  /** What is read. */
  readonly device: BlockDevice;
  /** Where replies go. */
  readonly replies: ReplyQueue;
  /** What replies look like. */
  readonly form: ReplyForm;
  /** Who waits for the device. */
  readonly late: LateRequests;
  /** Where errors are counted. */
  readonly counters: NbdCounters;
  /** Called when an answer that has begun cannot be completed. */
  readonly onBroken: () => void;
}

/** Long reads of one connection, one after the other. */
export class LongRead {
  readonly #tools: ReadTools;
  #to: ReplyAddress = createRequest();
  #start = 0;
  #length = 0;
  /** Bytes that are read. */
  #done = 0;
  /** A part is being read by the device. */
  #isReading = false;

  /**
   * Creates the command.
   *
   * @param tools What it works with.
   */
  constructor(tools: ReadTools) {
    this.#tools = tools;
  }

  /** Parts are to come. */
  get isUnderWay(): boolean {
    return this.#done < this.#length;
  }

  /**
   * Starts a read. Not while one is under way.
   *
   * @param request It has passed the gate.
   */
  start(request: NbdRequest): void {
    this.#to = addressOf(request);
    this.#start = request.offset;
    this.#length = request.length;
    this.#done = 0;
    this.resume();
  }

  /** Reads what there is room for. */
  resume(): void {
    while (this.isUnderWay && !this.#isReading) {
      if (!this.#step()) return;
    }
  }

  /** @returns False if there is no room for a part. */
  #step(): boolean {
    const { device, replies, form, late } = this.#tools;
    const offset = this.#start + this.#done;
    const header = this.#done === 0 ? form.dataHeaderSize : 0;
    const length = Math.min(
      this.#length - this.#done,
      READ_PIECE_SIZE - offset % READ_PIECE_SIZE,
    );
    if (!replies.hasRoom(header + length)) return false;
    // Data that waits behind this answer would leave no room for it.
    if (header > 0 && replies.hasPlaces) return false;
    if (header > 0) late.hold();
    const at = replies.reserve(header + length);
    const data = replies.bytes.subarray(at + header, at + header + length);
    let completion: Completion;
    try {
      completion = device.read(data, offset);
    } catch (error) {
      this.#fail(late.failureOf(error, this.#to, false));
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
    const { replies, late } = this.#tools;
    const place = replies.holdPart(at, header + length);
    this.#isReading = true;
    late.trackPart(completion, this.#to, (failure) => {
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
    if (!this.isUnderWay) this.#tools.late.letGo();
  }

  #fail(failure: Failure): void {
    const { replies, late, counters, onBroken } = this.#tools;
    const hasBegun = this.#done > 0;
    this.#done = this.#length;
    counters.errors++;
    if (hasBegun) onBroken();
    else replies.fail(this.#to, failure);
    late.letGo();
  }
}
