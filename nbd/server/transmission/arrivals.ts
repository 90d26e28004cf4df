/**
 * Receives the requests of one connection, and knows when they came.
 *
 * A client that sends one request after the other, each of which a device
 * answers soon but not at once (a disk on another machine), is busy-polled for
 * the next one: a read by way of the event loop costs more than such a client
 * takes. Meanwhile no read may be under way, which would get what comes after
 * polled bytes. So while its one request is in flight a read begins only when
 * the event loop comes round: by then the device was not that quick.
 *
 * @module
 */

import type { Batch } from "../export/mod.ts";
import type { Carrier } from "../stream/mod.ts";
import { LOOP_POLLS_MAX, POLL_US } from "../../wire/mod.ts";
import { Polling } from "./polling.ts";
import type { ReceiveBuffer } from "./receive_buffer.ts";

/** What arrivals are reported to. */
export interface ArrivalsOptions {
  /** Learns when requests came. */
  readonly batch: Batch;
  /**
   * Tells whether the server has no other client, which would wait meanwhile.
   *
   * @returns True if it has none.
   */
  readonly isAlone: () => boolean;
  /**
   * Called when bytes have come, or at the end.
   *
   * @param isEnd Whether nothing more comes: also of a broken connection.
   */
  readonly onReceived: (isEnd: boolean) => void;
}

/** Receives the requests of one connection. */
export class Arrivals {
  /** Requests in the buffer wait until they may be executed. */
  isStalled = false;
  /** A request was not answered at once since the client was polled last. */
  isAwaited = false;
  readonly #carrier: Carrier;
  readonly #received: ReceiveBuffer;
  readonly #options: ArrivalsOptions;
  #isReceiving = false;
  #isClosed = false;
  /**
   * Bytes of the receive buffer that have come while others waited there, and
   * when the first of them came.
   */
  #later = 0;
  #laterSince = 0;
  readonly #polling = new Polling();
  /** Requests since the client was polled last, or might have been. */
  #requests = 0;
  /** Whether it pays to busy-poll for the next request. */
  #isWorthIt = false;
  /** Polls since the event loop has come round. */
  #polls = 0;
  #isRoundDue = false;

  /**
   * Begins to receive nothing.
   *
   * @param carrier The connection.
   * @param received Where bytes go.
   * @param options What to report to.
   */
  constructor(
    carrier: Carrier,
    received: ReceiveBuffer,
    options: ArrivalsOptions,
  ) {
    this.#carrier = carrier;
    this.#received = received;
    this.#options = options;
  }

  /** Counts a request that is executed. */
  noteRequest(): void {
    this.#requests++;
  }

  /** Goes on with the bytes that came later, once all others are taken. */
  passLater(): void {
    if (this.#later > 0) this.#pass();
  }

  /** Starts to receive, unless that is in flight or there is no room. */
  receive(): void {
    const received = this.#received;
    if (this.#isReceiving || this.#isClosed || !received.makeRoom()) return;
    this.#isReceiving = true;
    const room = received.memory.subarray(received.end);
    this.#carrier.read(room).then(this.#onReceived, this.#onFailed);
  }

  /**
   * Receives while one request waits for the device: when the event loop comes
   * round, if the client is one to be polled, since it may be answered before.
   * Else at once.
   */
  receiveLater(): void {
    if (!this.#isWorthIt || this.#isReceiving) return this.receive();
    if (this.#isRoundDue) return;
    this.#isRoundDue = true;
    // Not imported: see `device/block/turns.ts`.
    globalThis.setImmediate(() => {
      this.#isRoundDue = false;
      this.#polls = 0;
      this.receive();
    });
  }

  /**
   * Busy-polls for the next request, if that pays.
   *
   * *Requires*: all requests are answered.
   *
   * @returns Whether something has come.
   */
  poll(): boolean {
    const [requests, wasAwaited] = [this.#requests, this.isAwaited];
    this.#requests = 0;
    this.isAwaited = false;
    if (!wasAwaited || this.#carrier.readSoon === undefined) return false;
    this.#isWorthIt = this.#polling.isWorthIt(requests) &&
      this.#options.isAlone();
    const mayPoll = this.#isWorthIt && !this.#isReceiving &&
      this.#polls < LOOP_POLLS_MAX;
    if (!mayPoll) return false;
    this.#polls++;
    const received = this.#received;
    received.makeRoom();
    const { memory, end } = received;
    const count = this.#carrier.readSoon(memory, end, POLL_US / 1000);
    this.#polling.ended(count === 0);
    this.#isWorthIt = count > 0;
    if (count > 0) this.#note(count);
    return count > 0;
  }

  /**
   * Receives no more.
   *
   * *Requires*: nothing uses the buffer any more.
   */
  close(): void {
    this.#isClosed = true;
    if (!this.#isReceiving) this.#received.free();
  }

  readonly #onReceived = (count: number | null): void => {
    this.#isReceiving = false;
    if (count !== null) this.#note(count);
    this.#options.onReceived(count === null);
  };

  // A connection that breaks is a client that is gone.
  readonly #onFailed = (): void => this.#onReceived(null);

  /** Notes when requests came: those in the buffer came before. */
  #note(count: number): void {
    if (this.isStalled) {
      if (this.#later === 0) this.#laterSince = performance.now();
      this.#later += count;
    } else {
      this.#options.batch.since = performance.now();
      this.#later = 0;
    }
    this.#received.received(count);
  }

  #pass(): void {
    if (this.#received.available > this.#later) return;
    const { batch } = this.#options;
    batch.end();
    batch.since = this.#laterSince;
    this.#later = 0;
  }
}
