/**
 * The replies of one connection on their way out.
 *
 * Replies are built in place in a few buffers of a fixed size, payloads
 * included, and sent by one writer, many with one send. A reply that is not
 * complete yet keeps its place in its buffer: what lies around it is sent
 * without it, and the buffer is used again when nothing in it is needed.
 *
 * It promises: never two sends at once; bounded memory (`hasRoom` says when to
 * stop); and no rejection on a dead connection: it turns `failed` instead.
 *
 * @module
 */

import { assert } from "../../../errors.ts";
import {
  type Failure,
  REPLY_BATCH_SIZE,
  REPLY_BUFFER_SIZE,
  REPLY_BUFFERS_MAX,
  type ReplyAddress,
  type ReplyForm,
} from "../../wire/mod.ts";
import type { Carrier } from "../stream/mod.ts";
import { Outgoing, type ReplyBuffer } from "./outgoing.ts";

/** The place of data that is not there yet. */
export interface ReplyPlace {
  /** The buffer; only the queue may touch it. */
  readonly buffer: ReplyBuffer;
  /** Where the header starts. */
  readonly start: number;
  /** Where the data goes. */
  readonly data: Uint8Array;
}

/** Builds replies in place and sends them. */
export class ReplyQueue {
  readonly #form: ReplyForm;
  readonly #onSent: () => void;
  readonly #outgoing: Outgoing;
  readonly #free: ReplyBuffer[] = [];
  readonly #all: ReplyBuffer[] = [];
  #current: ReplyBuffer = this.#newBuffer();
  /** In the current buffer: what follows is complete and in no segment. */
  #start = 0;
  /** In the current buffer: what follows is free. */
  #used = 0;
  /** Places that wait for their data. */
  #places = 0;
  #sending = false;
  #failed = false;

  /**
   * Creates a queue.
   *
   * @param carrier Where replies go.
   * @param form What they look like.
   * @param onSent Called when something was sent, or sending has failed.
   */
  constructor(carrier: Carrier, form: ReplyForm, onSent: () => void) {
    this.#outgoing = new Outgoing(carrier, (buffer) => this.#giveUp(buffer));
    this.#form = form;
    this.#onSent = onSent;
  }

  /** The connection takes no more; all replies are dropped from now on. */
  get failed(): boolean {
    return this.#failed;
  }

  /** Nothing waits to be sent. Places that are held do not count. */
  get idle(): boolean {
    return this.#failed ||
      (!this.#sending && this.#outgoing.isEmpty &&
        this.#used === this.#start);
  }

  /** Some data is not there yet. */
  get hasPlaces(): boolean {
    return this.#places > 0;
  }

  /**
   * Whether a reply can be built now; makes room if it can.
   *
   * @param size Its bytes, headers included; a buffer's at most.
   * @returns If false, try again after something was sent.
   */
  hasRoom(size: number): boolean {
    assert(size <= REPLY_BUFFER_SIZE, "a reply fits a buffer");
    // Where data is waited for, all of the buffer is used: there is time.
    const isFull = this.#used >= REPLY_BATCH_SIZE && this.#places === 0;
    if (!isFull && this.#used + size <= this.#current.bytes.length) return true;
    if (this.#free.length === 0 && this.#all.length >= REPLY_BUFFERS_MAX) {
      return false;
    }
    this.#changeBuffer();
    return true;
  }

  /**
   * Where the data of the next reply goes, if it is there at once:
   * {@linkcode commit} follows, or {@linkcode hold}, or nothing.
   *
   * @param length Bytes, for which there is room.
   * @returns The place.
   */
  target(length: number): Uint8Array {
    const at = this.#used + this.#form.dataHeaderSize;
    return this.#current.bytes.subarray(at, at + length);
  }

  /**
   * Adds a reply whose data is in {@linkcode target} already.
   *
   * @param to The request that it answers.
   * @param offset Where the data is on the disk.
   * @param length Bytes.
   * @param isLast Whether this completes the answer.
   */
  commit(
    to: ReplyAddress,
    offset: number,
    length: number,
    isLast: boolean,
  ): void {
    const { view } = this.#current;
    this.#form.setData(view, this.#used, to, offset, length, isLast);
    this.#used += this.#form.dataHeaderSize + length;
  }

  /**
   * Adds the reply to a request without data that succeeded. There is always
   * room, also for failures: requests in flight are bounded, and each request
   * has one such reply.
   *
   * @param to The request that it answers.
   */
  succeed(to: ReplyAddress): void {
    const at = this.reserve(this.#form.shortReplyMax);
    this.advance(this.#form.setSuccess(this.#current.view, at, to));
  }

  /**
   * Adds the reply to a request that failed.
   *
   * @param to The request that it answers.
   * @param failure How it failed.
   * @param offset Where on the disk, if known.
   */
  fail(to: ReplyAddress, failure: Failure, offset?: number): void {
    const at = this.reserve(this.#form.shortReplyMax);
    const { view } = this.#current;
    this.advance(this.#form.setFailure(view, at, to, failure, offset));
  }

  /** The buffer that {@linkcode reserve} gives places in. */
  get view(): DataView {
    return this.#current.view;
  }

  /** The same buffer, for data. */
  get bytes(): Uint8Array {
    return this.#current.bytes;
  }

  /**
   * Finds a place for a reply that the caller writes; {@linkcode advance}
   * follows, or nothing.
   *
   * @param size The most bytes that it may have, for which there is room.
   * @returns Where it starts in {@linkcode view}.
   */
  reserve(size: number): number {
    if (this.#used + size > this.#current.bytes.length) this.#changeBuffer();
    return this.#used;
  }

  /**
   * Adds what was written at the place that {@linkcode reserve} gave.
   *
   * @param size Its bytes.
   */
  advance(size: number): void {
    if (this.#failed) return;
    this.#used += size;
  }

  /**
   * Keeps the place that {@linkcode target} gave until the data is there.
   *
   * @param data The same place.
   * @returns What {@linkcode release} takes.
   */
  hold(data: Uint8Array): ReplyPlace {
    this.#cut();
    const start = this.#used;
    const end = start + this.#form.dataHeaderSize + data.length;
    return this.#keep(start, end, data);
  }

  /**
   * Keeps a place that {@linkcode reserve} gave until its data is there.
   *
   * @param at Where it starts.
   * @param size Its bytes.
   * @returns What {@linkcode releasePart} takes.
   */
  holdPart(at: number, size: number): ReplyPlace {
    this.#cut();
    const data = this.#current.bytes.subarray(at, at + size);
    return this.#keep(at, at + size, data);
  }

  /**
   * Completes a part of a reply, whatever header it has: its data is there.
   *
   * @param place What was held.
   */
  releasePart(place: ReplyPlace): void {
    this.#places--;
    if (this.#failed) return;
    const { buffer, start, data: { length } } = place;
    this.#cut();
    this.#outgoing.add(buffer, start, start + length);
  }

  /**
   * Completes the reply in a place: its data is there.
   *
   * @param place What was held.
   * @param to The request that it answers.
   * @param offset Where the data is on the disk.
   * @param isLast Whether this completes the answer.
   */
  release(
    place: ReplyPlace,
    to: ReplyAddress,
    offset: number,
    isLast: boolean,
  ): void {
    this.#places--;
    if (this.#failed) return;
    const { buffer, start, data: { length } } = place;
    this.#form.setData(buffer.view, start, to, offset, length, isLast);
    const end = start + this.#form.dataHeaderSize + length;
    // What was added before must not be sent behind: this may be the last.
    this.#cut();
    this.#outgoing.add(buffer, start, end);
  }

  /**
   * Gives a place up: its data will not come.
   *
   * @param place What was held.
   */
  cancel(place: ReplyPlace): void {
    this.#places--;
    if (!this.#failed) this.#giveUp(place.buffer);
  }

  /**
   * Starts sending what is complete, unless sending is under way.
   *
   * @param now Whether to send at once what the connection takes at once.
   * @returns Whether there was something, and it is sent.
   */
  send(now: boolean): boolean {
    if (this.#sending || this.idle) return false;
    if (now && this.#sendNow()) {
      this.#onSent();
      return true;
    }
    this.#sending = true;
    void this.#sendAll();
    return false;
  }

  /** Drops everything, now and from now on. */
  drop(): void {
    this.#failed = true;
    this.#outgoing.drop();
    this.#free.length = 0;
    this.#start = this.#used = 0;
  }

  /**
   * Gives the memory back, at once and not when it is collected: an idle
   * process collects nothing for a long time. Afterwards the queue must not be
   * used. Does nothing while a send or a read may use the memory.
   */
  free(): void {
    this.drop();
    if (this.#sending || this.#places > 0) return;
    for (const { bytes } of this.#all) bytes.buffer.transfer(0);
  }

  /** @returns Whether everything is sent. */
  #sendNow(): boolean {
    this.#cut();
    return this.#outgoing.sendNow();
  }

  /** Never rejects. */
  async #sendAll(): Promise<void> {
    while (!this.#failed) {
      this.#cut();
      // Without an await up to the end: what is added after it begins anew.
      if (this.#outgoing.isEmpty) break;
      try {
        await this.#outgoing.sendFirst();
      } catch {
        // Which error does not matter: the client takes no more replies.
        this.drop();
        break;
      }
      this.#onSent();
    }
    this.#sending = false;
    this.#onSent();
  }

  /** Makes a segment of the complete replies in the current buffer. */
  #cut(): void {
    if (this.#used === this.#start) return;
    this.#current.holds++;
    this.#outgoing.add(this.#current, this.#start, this.#used);
    this.#start = this.#used;
  }

  #keep(start: number, end: number, data: Uint8Array): ReplyPlace {
    const buffer = this.#current;
    buffer.holds++;
    this.#places++;
    this.#start = this.#used = end;
    return { buffer, start, data };
  }

  #giveUp(buffer: ReplyBuffer): void {
    assert(buffer.holds > 0, "a reply buffer that is given up was held");
    buffer.holds--;
    if (buffer.holds > 0) return;
    if (buffer !== this.#current) this.#free.push(buffer);
    // Starting over keeps the bytes that are in use in the nearest cache.
    else if (this.#used === this.#start) this.#start = this.#used = 0;
  }

  #changeBuffer(): void {
    this.#cut();
    this.#current = this.#free.pop() ?? this.#newBuffer();
    this.#start = this.#used = 0;
  }

  #newBuffer(): ReplyBuffer {
    const bytes = new Uint8Array(REPLY_BUFFER_SIZE);
    const buffer = { bytes, view: new DataView(bytes.buffer), holds: 0 };
    this.#all.push(buffer);
    return buffer;
  }
}
