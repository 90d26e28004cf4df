/**
 * The transmission phase of one connection: requests in, replies out.
 *
 * All complete requests in the receive buffer are executed in one go, each
 * synchronously where the device can, and their replies leave with one send.
 * A READ goes straight into a reply buffer, a WRITE straight out of the receive
 * buffer. What the device finishes later is answered later, out of order.
 *
 * One loop drives a connection. It runs what can be run, then sleeps until
 * something has changed: bytes came, replies left, a request finished, space
 * is to be had, the server stops. No request holds it up but these: the device
 * is congested, the client does not take its replies, or too many requests
 * are under way. Then no more requests are executed.
 *
 * It promises: bounded memory whatever the client announces or leaves unread;
 * waiting writes are cancelled when the client is gone; no rejection that
 * nobody handles; an error that is not expected (no {@linkcode VirstorError})
 * is handed to the server, never swallowed.
 *
 * @module
 */

import type {
  BlockDevice,
  Completion,
  WriteOptions,
} from "../device/block_device.ts";
import { VirstorError } from "../errors.ts";
import type { NbdCounters } from "./counters.ts";
import { errnoOf } from "./errno.ts";
import type { ExportFacts } from "./export.ts";
import type { Negotiated } from "./handshake.ts";
import { type LargeWrite, pieceLength } from "./large_write.ts";
import { PAYLOAD_WHOLE_MAX, REQUESTS_PENDING_MAX } from "./limits.ts";
import {
  COMMAND_CACHE,
  COMMAND_DISCONNECT,
  COMMAND_FLUSH,
  COMMAND_READ,
  COMMAND_TRIM,
  COMMAND_WRITE,
  COMMAND_WRITE_ZEROES,
  EIO,
  ESHUTDOWN,
  FLAG_FAST_ZERO,
  FLAG_FUA,
  FLAG_NO_HOLE,
  REQUEST_SIZE,
} from "./protocol.ts";
import { ReceiveBuffer } from "./receive_buffer.ts";
import { type ReplyPlace, ReplyQueue } from "./reply_queue.ts";
import { createRequest, decodeRequest } from "./request.ts";
import { checkRequest } from "./request_gate.ts";
import { type ByteStream, closeQuietly } from "./stream.ts";
import type { TransmissionOwner } from "./transmission_owner.ts";

/** One connection after its handshake. */
export class Transmission {
  readonly #stream: ByteStream;
  readonly #device: BlockDevice;
  readonly #facts: ExportFacts;
  readonly #counters: NbdCounters;
  readonly #owner: TransmissionOwner;
  readonly #replies: ReplyQueue;
  readonly #abort = new AbortController();
  // Made once, so that a write allocates nothing.
  readonly #plain: WriteOptions;
  readonly #fua: WriteOptions;

  readonly #received: ReceiveBuffer;
  readonly #request = createRequest();
  #large: LargeWrite | undefined = undefined;

  /** Requests and pieces of requests that the device has not finished. */
  #pending = 0;
  #receiving = false;
  #congested = false;
  /** Bytes that arrive are dropped: DISC, or the protocol was broken. */
  #deaf = false;
  /** The client sends no more. */
  #ended = false;
  #stopping = false;
  #destroyed = false;
  #wake: (() => void) | undefined = undefined;
  #wakeWhenSent = false;
  #reason = "the client left";

  /**
   * Creates a transmission.
   *
   * @param stream The connection; the transmission closes it.
   * @param negotiated What the handshake agreed on.
   * @param owner Whom to report to.
   */
  constructor(
    stream: ByteStream,
    negotiated: Negotiated,
    owner: TransmissionOwner,
  ) {
    this.#stream = stream;
    this.#device = negotiated.served.device;
    this.#facts = negotiated.facts;
    this.#counters = owner.counters;
    this.#owner = owner;
    this.#replies = new ReplyQueue(stream, () => {
      if (this.#wakeWhenSent || this.#replies.failed) this.#changed();
    });
    const { signal } = this.#abort;
    this.#plain = Object.freeze({ signal });
    this.#fua = Object.freeze({ signal, fua: true });
    this.#received = new ReceiveBuffer(negotiated.early);
  }

  /**
   * Serves until the client leaves or the server stops. Never rejects.
   *
   * @returns Why it ended, for the log.
   */
  async run(): Promise<string> {
    for (;;) {
      const stalled = this.#execute();
      this.#replies.send();
      if (this.#isFinished(stalled)) break;
      this.#receive();
      this.#wakeWhenSent = stalled || this.#deaf || this.#ended ||
        this.#stopping || this.#replies.failed;
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
    this.#abort.abort();
    this.#replies.drop();
    closeQuietly(this.#stream);
    return this.#reason;
  }

  /**
   * From now on requests are answered `ESHUTDOWN`, and the connection ends
   * when those under way are done and answered.
   */
  stop(): void {
    this.#stopping = true;
    this.#reason = "the server stops";
    this.#changed();
  }

  /** Cancels writes that wait for space. */
  cancelWaiting(): void {
    this.#abort.abort();
  }

  /** Ends the connection at once, whatever is under way. */
  destroy(): void {
    this.#destroyed = true;
    this.#changed();
  }

  #changed(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }

  #isFinished(stalled: boolean): boolean {
    if (this.#destroyed) return true;
    const last = this.#deaf || this.#stopping || (this.#ended && !stalled) ||
      this.#replies.failed;
    return last && this.#pending === 0 && this.#replies.idle;
  }

  /** Starts to receive, unless that is under way or there is no room. */
  #receive(): void {
    if (this.#receiving || this.#ended) return;
    const room = this.#received.room();
    if (room.length === 0) return;
    this.#receiving = true;
    this.#stream.read(room).then(this.#onReceived, this.#onReceiveFailed);
  }

  readonly #onReceived = (count: number | null): void => {
    this.#receiving = false;
    if (count === null) this.#leave();
    else this.#received.received(count);
    this.#changed();
  };

  // A connection that breaks is a client that is gone.
  readonly #onReceiveFailed = (): void => this.#onReceived(null);

  /** The client is gone, or has at least nothing more to say. */
  #leave(): void {
    this.#ended = true;
    this.#abort.abort();
  }

  /** @returns Whether it has stopped although there may be more to do. */
  #execute(): boolean {
    const request = this.#request;
    const received = this.#received;
    if (this.#replies.failed && !this.#ended) this.#leave();
    while (!this.#deaf && !this.#destroyed && !this.#replies.failed) {
      if (this.#mustWait()) return true;
      if (this.#large !== undefined) {
        if (!this.#takePiece(this.#large)) return false;
        continue;
      }
      if (received.available < REQUEST_SIZE) return false;
      if (!decodeRequest(received.view, received.start, request)) {
        this.#deaf = true;
        this.#reason = "the client broke the protocol: a request has a wrong \
magic";
        this.#abort.abort();
        break;
      }
      const isRead = request.command === COMMAND_READ;
      if (!this.#replies.hasRoom(isRead ? request.length : 0)) return true;
      if (request.command === COMMAND_WRITE) {
        if (!this.#takeWrite()) return false;
      } else {
        received.skip(REQUEST_SIZE);
        this.#perform();
      }
    }
    received.skip(received.available);
    return false;
  }

  #mustWait(): boolean {
    // Once the client is gone or the server stops, no write waits any more.
    const congested = this.#congested && !this.#ended && !this.#stopping;
    return congested || this.#pending >= REQUESTS_PENDING_MAX;
  }

  #check(): number {
    const { command, flags, offset, length } = this.#request;
    if (this.#stopping) return ESHUTDOWN;
    return checkRequest(this.#facts, command, flags, offset, length);
  }

  /** Any request but WRITE. */
  #perform(): void {
    const { command, flags, cookieHigh, cookieLow, offset, length } =
      this.#request;
    if (command === COMMAND_DISCONNECT) {
      this.#deaf = true;
      this.#reason = "the client said goodbye";
      return;
    }
    const errno = this.#check();
    if (errno !== 0) return this.#reply(errno, cookieHigh, cookieLow);
    try {
      switch (command) {
        case COMMAND_READ:
          return this.#read(offset, length, cookieHigh, cookieLow);
        case COMMAND_FLUSH:
          this.#counters.flushes++;
          return this.#answer(this.#device.flush(), cookieHigh, cookieLow);
        case COMMAND_TRIM: {
          this.#counters.trims++;
          const options = (flags & FLAG_FUA) === 0 ? this.#plain : this.#fua;
          const completion = length === 0
            ? undefined
            : this.#device.discard(offset, length, options);
          return this.#answerWrite(completion, cookieHigh, cookieLow, false);
        }
        case COMMAND_WRITE_ZEROES: {
          this.#counters.writeZeroes++;
          const options = {
            signal: this.#abort.signal,
            fua: (flags & FLAG_FUA) !== 0,
            noHole: (flags & FLAG_NO_HOLE) !== 0,
            fastOnly: (flags & FLAG_FAST_ZERO) !== 0,
          };
          const completion = length === 0
            ? undefined
            : this.#device.writeZeroes(offset, length, options);
          const fast = options.fastOnly;
          return this.#answerWrite(completion, cookieHigh, cookieLow, fast);
        }
        case COMMAND_CACHE:
          // A hint. Reading ahead would hold up everybody's requests, so
          // nothing is done about it, as the protocol allows.
          this.#counters.caches++;
          return this.#reply(0, cookieHigh, cookieLow);
      }
    } catch (error) {
      const fast = (flags & FLAG_FAST_ZERO) !== 0;
      this.#reply(this.#errnoOf(error, fast), cookieHigh, cookieLow);
    }
  }

  #read(
    offset: number,
    length: number,
    cookieHigh: number,
    cookieLow: number,
  ): void {
    this.#counters.reads++;
    this.#counters.bytesRead += length;
    if (length === 0) return this.#reply(0, cookieHigh, cookieLow);
    if (ReplyQueue.isLarge(length)) {
      const place = this.#replies.holdLarge(length);
      let pending: Promise<void>;
      try {
        pending = this.#device.read(place.payload, offset) ?? Promise.resolve();
      } catch (error) {
        pending = Promise.reject(error);
      }
      return this.#answerRead(pending, place, cookieHigh, cookieLow);
    }
    const target = this.#replies.target(length);
    const completion = this.#device.read(target, offset);
    if (completion === undefined) {
      this.#replies.commit(length, cookieHigh, cookieLow);
    } else {
      const place = this.#replies.hold(target);
      this.#answerRead(completion, place, cookieHigh, cookieLow);
    }
  }

  /** @returns False if more of it has to arrive first. */
  #takeWrite(): boolean {
    const { flags, cookieHigh, cookieLow, offset, length } = this.#request;
    const complete = this.#received.available >= REQUEST_SIZE + length;
    if (!complete && length <= PAYLOAD_WHOLE_MAX) return false;
    const errno = this.#check();
    const fua = (flags & FLAG_FUA) !== 0;
    if (errno === 0) {
      this.#counters.writes++;
      this.#counters.bytesWritten += length;
    }
    this.#received.skip(REQUEST_SIZE);
    if (!complete) {
      this.#large = {
        cookieHigh,
        cookieLow,
        fua,
        offset,
        rest: length,
        pending: 0,
        errno,
      };
      return true;
    }
    const payload = this.#received.take(length);
    if (errno !== 0 || length === 0) {
      this.#reply(errno, cookieHigh, cookieLow);
      return true;
    }
    try {
      const completion = this.#device.write(
        payload,
        offset,
        fua ? this.#fua : this.#plain,
      );
      this.#answerWrite(completion, cookieHigh, cookieLow, false);
    } catch (error) {
      this.#reply(this.#errnoOf(error, false), cookieHigh, cookieLow);
    }
    return true;
  }

  /** @returns False if more of it has to arrive first. */
  #takePiece(large: LargeWrite): boolean {
    const { available } = this.#received;
    const { preferredBlockSize } = this.#facts;
    const block = Math.min(preferredBlockSize, PAYLOAD_WHOLE_MAX);
    const length = pieceLength(large, available, block);
    if (length === 0) return false;
    const piece = this.#received.take(length);
    const { offset } = large;
    large.offset += length;
    large.rest -= length;
    if (large.errno === 0) this.#writePiece(large, piece, offset);
    if (large.rest === 0) {
      this.#large = undefined;
      this.#finishLarge(large);
    }
    return true;
  }

  #writePiece(large: LargeWrite, piece: Uint8Array, offset: number): void {
    let completion: Completion;
    try {
      completion = this.#device.write(piece, offset, this.#plain);
    } catch (error) {
      large.errno = this.#errnoOf(error, false);
      return;
    }
    if (completion === undefined) return;
    large.pending++;
    this.#track(completion, false, (errno) => {
      large.pending--;
      if (large.errno === 0) large.errno = errno;
      if (large.rest === 0) this.#finishLarge(large);
    });
    this.#heedCongestion();
  }

  /** Answers a large write when all of it is taken and nothing is pending. */
  #finishLarge(large: LargeWrite): void {
    const { cookieHigh, cookieLow } = large;
    if (large.pending > 0) return;
    if (large.errno !== 0 || !large.fua) {
      return this.#reply(large.errno, cookieHigh, cookieLow);
    }
    // The pieces went without FUA; one flush makes them durable together.
    try {
      this.#answer(this.#device.flush(), cookieHigh, cookieLow);
    } catch (error) {
      this.#reply(this.#errnoOf(error, false), cookieHigh, cookieLow);
    }
  }

  #answerRead(
    completion: Promise<void>,
    place: ReplyPlace,
    cookieHigh: number,
    cookieLow: number,
  ): void {
    this.#track(completion, false, (errno) => {
      if (errno !== 0) this.#counters.errors++;
      this.#replies.release(place, errno, cookieHigh, cookieLow);
    });
  }

  #answerWrite(
    completion: Completion,
    cookieHigh: number,
    cookieLow: number,
    fast: boolean,
  ): void {
    this.#answer(completion, cookieHigh, cookieLow, fast);
    if (completion !== undefined) this.#heedCongestion();
  }

  #answer(
    completion: Completion,
    cookieHigh: number,
    cookieLow: number,
    fast = false,
  ): void {
    if (completion === undefined) return this.#reply(0, cookieHigh, cookieLow);
    this.#track(completion, fast, (errno) => {
      this.#reply(errno, cookieHigh, cookieLow);
    });
  }

  #reply(errno: number, cookieHigh: number, cookieLow: number): void {
    if (errno !== 0) this.#counters.errors++;
    this.#replies.reply(errno, cookieHigh, cookieLow);
  }

  /** The slow path: the device finishes later. */
  #track(
    completion: Promise<void>,
    fast: boolean,
    done: (errno: number) => void,
  ): void {
    this.#pending++;
    const settle = (errno: number) => {
      this.#pending--;
      done(errno);
      this.#replies.send();
      this.#changed();
    };
    completion.then(
      () => settle(0),
      (error) => settle(this.#errnoOf(error, fast)),
    );
  }

  /**
   * No more requests are executed while the device is congested. Bytes are
   * still received while there is room, to see that the client leaves; one
   * that has sent more than that and left is noticed when there is space.
   */
  #heedCongestion(): void {
    const { congestion } = this.#device;
    if (congestion === undefined || this.#congested) return;
    this.#congested = true;
    congestion.then(() => {
      this.#congested = false;
      this.#changed();
    });
  }

  #errnoOf(error: unknown, fast: boolean): number {
    if (error instanceof VirstorError) {
      this.#owner.onError(error);
      return errnoOf(error, fast);
    }
    this.#reason = "the server failed";
    this.destroy();
    this.#owner.onPanic(error);
    return EIO;
  }
}
