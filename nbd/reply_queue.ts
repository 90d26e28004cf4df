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
 * Source of the format: NBD `doc/proto.md`, section "Simple reply message".
 *
 * @module
 */

import { assert } from "../errors.ts";
import { REPLY_BUFFER_SIZE, REPLY_BUFFERS_MAX } from "./limits.ts";
import { SIMPLE_REPLY_MAGIC, SIMPLE_REPLY_SIZE } from "./protocol.ts";
import { type ByteStream, writeAll } from "./stream.ts";

/** Room for replies. */
interface ReplyBuffer {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Places and segments in it that are not sent yet. */
  holds: number;
}

/** Complete replies, next to each other in one buffer. */
interface Segment {
  readonly buffer: ReplyBuffer;
  readonly start: number;
  end: number;
}

/** The place of a reply to a READ that is not complete yet. */
export interface ReplyPlace {
  /** The buffer; not to be touched by others. */
  readonly buffer: ReplyBuffer;
  /** Where its header starts. */
  readonly start: number;
  /** Where its payload goes. */
  readonly payload: Uint8Array;
}

/** Builds replies in place and sends them. */
export class ReplyQueue {
  readonly #stream: ByteStream;
  readonly #onSent: () => void;
  readonly #segments: Segment[] = [];
  readonly #free: ReplyBuffer[] = [];
  #current: ReplyBuffer = createReplyBuffer(REPLY_BUFFER_SIZE);
  /** In the current buffer: what follows is complete and in no segment. */
  #start = 0;
  /** In the current buffer: what follows is free. */
  #used = 0;
  #buffers = 1;
  #large: ReplyBuffer | undefined = undefined;
  #sending = false;
  #failed = false;

  /**
   * Creates a queue.
   *
   * @param stream Where replies go.
   * @param onSent Called when something was sent, or sending has failed.
   */
  constructor(stream: ByteStream, onSent: () => void) {
    this.#stream = stream;
    this.#onSent = onSent;
  }

  /** The connection takes no more; all replies are dropped from now on. */
  get failed(): boolean {
    return this.#failed;
  }

  /** Nothing waits to be sent. Places that are held do not count. */
  get idle(): boolean {
    return this.#failed ||
      (!this.#sending && this.#segments.length === 0 &&
        this.#used === this.#start);
  }

  /** Whether a payload of this many bytes needs a buffer of its own. */
  static isLarge(payload: number): boolean {
    return payload > REPLY_BUFFER_SIZE - SIMPLE_REPLY_SIZE;
  }

  /**
   * Whether a reply can be built now; makes room if it can.
   *
   * @param payload Bytes that follow the header.
   * @returns If false, try again after something was sent.
   */
  hasRoom(payload: number): boolean {
    if (ReplyQueue.isLarge(payload)) return this.#large === undefined;
    const needed = SIMPLE_REPLY_SIZE + payload;
    if (this.#used + needed <= this.#current.bytes.length) return true;
    if (this.#free.length === 0 && this.#buffers >= REPLY_BUFFERS_MAX) {
      return false;
    }
    this.#changeBuffer();
    return true;
  }

  /**
   * Where the payload of the next reply goes, if it is complete at once:
   * {@linkcode commit} follows, or {@linkcode hold}, or nothing.
   *
   * @param payload Bytes, for which there is room and which are not large.
   * @returns The place.
   */
  target(payload: number): Uint8Array {
    const at = this.#used + SIMPLE_REPLY_SIZE;
    return this.#current.bytes.subarray(at, at + payload);
  }

  /**
   * Adds a successful reply whose payload is in {@linkcode target} already.
   *
   * @param payload Bytes.
   * @param cookieHigh First half of the request's cookie.
   * @param cookieLow Second half of the request's cookie.
   */
  commit(payload: number, cookieHigh: number, cookieLow: number): void {
    setHeader(this.#current.view, this.#used, 0, cookieHigh, cookieLow);
    this.#used += SIMPLE_REPLY_SIZE + payload;
  }

  /**
   * Adds a reply without payload. There is always room: what is under way is
   * bounded, and each request has one reply.
   *
   * @param errno 0, or the error value.
   * @param cookieHigh First half of the request's cookie.
   * @param cookieLow Second half of the request's cookie.
   */
  reply(errno: number, cookieHigh: number, cookieLow: number): void {
    if (this.#failed) return;
    if (this.#used + SIMPLE_REPLY_SIZE > this.#current.bytes.length) {
      this.#changeBuffer();
    }
    setHeader(this.#current.view, this.#used, errno, cookieHigh, cookieLow);
    this.#used += SIMPLE_REPLY_SIZE;
  }

  /**
   * Keeps the place that {@linkcode target} gave until the payload is there.
   *
   * @param payload The same place.
   * @returns What {@linkcode release} takes.
   */
  hold(payload: Uint8Array): ReplyPlace {
    this.#cut();
    const place = { buffer: this.#current, start: this.#used, payload };
    place.buffer.holds++;
    this.#used += SIMPLE_REPLY_SIZE + payload.length;
    this.#start = this.#used;
    return place;
  }

  /**
   * Makes a place for a large payload, of which there is one at a time.
   *
   * @param payload Bytes, for which {@linkcode hasRoom} said yes.
   * @returns What {@linkcode release} takes.
   */
  holdLarge(payload: number): ReplyPlace {
    assert(this.#large === undefined, "one large reply at a time");
    const buffer = createReplyBuffer(SIMPLE_REPLY_SIZE + payload);
    buffer.holds++;
    this.#large = buffer;
    return {
      buffer,
      start: 0,
      payload: buffer.bytes.subarray(SIMPLE_REPLY_SIZE),
    };
  }

  /**
   * Completes the reply in a place.
   *
   * @param place What was held.
   * @param errno 0, or the error value; then the payload is left out.
   * @param cookieHigh First half of the request's cookie.
   * @param cookieLow Second half of the request's cookie.
   */
  release(
    place: ReplyPlace,
    errno: number,
    cookieHigh: number,
    cookieLow: number,
  ): void {
    if (this.#failed) return;
    const { buffer, start } = place;
    setHeader(buffer.view, start, errno, cookieHigh, cookieLow);
    const length = errno === 0 ? place.payload.length : 0;
    this.#enqueue(buffer, start, start + SIMPLE_REPLY_SIZE + length);
  }

  /** Starts sending what is complete, unless sending is under way. */
  send(): void {
    if (this.#sending || this.idle) return;
    this.#sending = true;
    void this.#sendAll();
  }

  /** Drops everything, now and from now on. */
  drop(): void {
    this.#failed = true;
    this.#segments.length = 0;
    this.#free.length = 0;
    this.#start = this.#used = 0;
  }

  /** Never rejects. */
  async #sendAll(): Promise<void> {
    while (!this.#failed) {
      this.#cut();
      const segment = this.#segments.shift();
      if (segment === undefined) break;
      const { buffer, start, end } = segment;
      try {
        await writeAll(this.#stream, buffer.bytes.subarray(start, end));
      } catch {
        // Which error does not matter: the client takes no more replies.
        this.drop();
        break;
      }
      this.#giveUp(buffer);
      this.#onSent();
    }
    this.#sending = false;
    this.#onSent();
  }

  /** Makes a segment of the complete replies in the current buffer. */
  #cut(): void {
    if (this.#used === this.#start) return;
    this.#current.holds++;
    this.#enqueue(this.#current, this.#start, this.#used);
    this.#start = this.#used;
  }

  /** Takes over one hold on the buffer. */
  #enqueue(buffer: ReplyBuffer, start: number, end: number): void {
    const last = this.#segments.at(-1);
    if (last !== undefined && last.buffer === buffer && last.end === start) {
      last.end = end;
      buffer.holds--;
    } else {
      this.#segments.push({ buffer, start, end });
    }
  }

  #giveUp(buffer: ReplyBuffer): void {
    assert(buffer.holds > 0, "a reply buffer that was sent was held");
    buffer.holds--;
    if (buffer.holds > 0) return;
    if (buffer === this.#large) this.#large = undefined;
    else if (buffer !== this.#current) this.#free.push(buffer);
    // Starting over keeps the bytes that are in use in the nearest cache.
    else if (this.#used === this.#start) this.#start = this.#used = 0;
  }

  #changeBuffer(): void {
    this.#cut();
    const next = this.#free.pop();
    if (next === undefined) this.#buffers++;
    this.#current = next ?? createReplyBuffer(REPLY_BUFFER_SIZE);
    this.#start = this.#used = 0;
  }
}

function createReplyBuffer(size: number): ReplyBuffer {
  const bytes = new Uint8Array(size);
  return { bytes, view: new DataView(bytes.buffer), holds: 0 };
}

/** u32 magic, u32 error, u64 cookie; big-endian. */
function setHeader(
  view: DataView,
  at: number,
  errno: number,
  cookieHigh: number,
  cookieLow: number,
): void {
  view.setUint32(at, SIMPLE_REPLY_MAGIC);
  view.setUint32(at + 4, errno);
  view.setInt32(at + 8, cookieHigh);
  view.setInt32(at + 12, cookieLow);
}
