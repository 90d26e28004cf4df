/**
 * The transmission phase of one connection: requests in, replies out.
 *
 * All complete requests in the receive buffer are executed in one go, each
 * synchronously where the device can, and their replies leave with one send.
 * A READ goes straight into a reply buffer, a WRITE straight out of the receive
 * buffer. What the device finishes later is answered later, out of order. Here
 * is what is common to all dialects; `commands.ts` carries the requests out.
 *
 * One loop drives a connection. It runs what can be run, then sleeps until
 * something has changed: bytes came, replies left, a request finished, space
 * is to be had, the server stops. No request holds it up but these: the device
 * is congested, the client does not take its replies, or too many requests
 * are in flight. Then no more requests are executed. Nor are they after a slice
 * of time: the rest of a buffer waits for the next slice (`device/block/turns.ts`),
 * and other connections have theirs in between.
 *
 * It promises: bounded memory whatever the client announces or leaves unread;
 * waiting writes are cancelled when the client is gone; no unhandled
 * rejection; an error that is not expected (no {@linkcode VirstorError})
 * is handed to the server, never swallowed.
 *
 * @module
 */

import { Slice, turns } from "../../../device/block/mod.ts";
import { Arrivals } from "./arrivals.ts";
import { chooseForm } from "./choose_form.ts";
import { Commands } from "./commands.ts";
import { Batch } from "../export/mod.ts";
import type { Negotiated } from "../handshake/mod.ts";
import { type LargeWrite, pieceLength } from "./large_write.ts";
import { PendingRequests } from "./pending_requests.ts";
import {
  type NbdRequest,
  REQUESTS_PENDING_MAX,
  ROUNDS_MAX,
  STEPS_A_LOOK,
} from "../../wire/mod.ts";
import { ReceiveBuffer } from "./receive_buffer.ts";
import { ReplyQueue } from "./reply_queue.ts";
import { stepsOf } from "./request_cost.ts";
import {
  NEXT_END,
  NEXT_MORE,
  NEXT_WHOLE,
  RequestReader,
} from "./request_reader.ts";
import { type Carrier, closeQuietly } from "../stream/mod.ts";
import type { TransmissionOwner } from "./transmission_owner.ts";

/** How often a server that stops looks whether a client is done, milliseconds. */
const STOP_LOOK_MS = 25;
/**
 * How many looks in a row have to find nothing. What is there is found by the
 * first; the others are for what the client sent before it heard of the end.
 */
const STOP_LOOKS = 3;

/** One connection after its handshake. */
export class Transmission {
  readonly #carrier: Carrier;
  readonly #replies: ReplyQueue;
  readonly #pending: PendingRequests;
  readonly #commands: Commands;
  readonly #abort = new AbortController();

  readonly #received: ReceiveBuffer;
  readonly #arrivals: Arrivals;
  readonly #reader: RequestReader;
  readonly #batch: Batch;
  #large: LargeWrite | undefined = undefined;

  readonly #slice = new Slice(STEPS_A_LOOK, 1);
  /** No more requests are executed in this slice. */
  #isSliceOver = false;

  /** Bytes that arrive are dropped: DISC, or the protocol was broken. */
  #deaf = false;
  /** The client sends no more. */
  #ended = false;
  #stopping = false;
  /** While it stops: how many looks in a row have found nothing left to do. */
  #looksInVain = 0;
  #looks: ReturnType<typeof setInterval> | undefined = undefined;
  #destroyed = false;
  #wake: (() => void) | undefined = undefined;
  #wakeWhenSent = false;
  /** How often in a row {@linkcode endIfIdle} has found nothing new. */
  #quietTimes = 0;
  #activity: number | undefined = undefined;
  #reason = "the client left";

  /**
   * Creates a transmission.
   *
   * @param carrier The connection; the transmission closes it.
   * @param negotiated What the handshake agreed on.
   * @param owner The owner, which receives the reports.
   */
  constructor(
    carrier: Carrier,
    negotiated: Negotiated,
    owner: TransmissionOwner,
  ) {
    const { properties, nbdExport: { device }, early } = negotiated;
    const form = chooseForm(properties);
    this.#carrier = carrier;
    this.#batch = new Batch(owner.times);
    this.#replies = new ReplyQueue(carrier, form, () => {
      this.#quietTimes = 0;
      if (this.#wakeWhenSent || this.#replies.failed) this.#changed();
    });
    this.#pending = new PendingRequests({
      // The loop runs when all that settle with it have settled.
      onSettled: () => this.#changed(),
      onError: owner.onError,
      onPanic: (error) => {
        this.#reason = "the server failed";
        this.destroy();
        owner.onPanic(error);
      },
    });
    this.#commands = new Commands({
      device,
      properties,
      replies: this.#replies,
      form,
      pending: this.#pending,
      counters: owner.counters,
      batch: this.#batch,
      signal: this.#abort.signal,
      onDecongested: () => this.#changed(),
      onBroken: () => {
        this.#reason = "the device failed in the middle of a reply";
        this.destroy();
      },
    });
    this.#received = new ReceiveBuffer(early);
    this.#arrivals = new Arrivals(carrier, this.#received, {
      batch: this.#batch,
      isAlone: owner.isAlone,
      onReceived: (isEnd) => {
        this.#noteReceived();
        if (isEnd) this.#leave();
        this.#changed();
      },
    });
    this.#reader = new RequestReader(this.#received, properties.extended);
  }

  /**
   * Serves until the client leaves or the server stops. Never rejects.
   *
   * @returns Why it ended, for the log.
   */
  async run(): Promise<string> {
    let rounds = 0;
    for (;;) {
      const stalled = this.#arrivals.isStalled = this.#execute();
      if (this.#pending.count > 0) this.#arrivals.isAwaited = true;
      const mayGoOn = ++rounds < ROUNDS_MAX;
      const sent = this.#replies.send(mayGoOn);
      this.#batch.end();
      if (this.#isFinished(stalled)) break;
      if (this.#isSliceOver) {
        await turns.next(this.#abort.signal);
        this.#isSliceOver = false;
        this.#slice.begin();
        rounds--;
        continue;
      }
      if (mayGoOn && stalled && sent) continue;
      if (!stalled && this.#poll()) continue;
      rounds = 0;
      this.#receive();
      this.#wakeWhenSent = stalled || this.#deaf || this.#ended ||
        this.#stopping || this.#replies.failed;
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
    clearInterval(this.#looks);
    this.#abort.abort();
    // Requests that are not done may answer until they are.
    if (this.#pending.count > 0) this.#replies.drop();
    else this.#replies.free();
    closeQuietly(this.#carrier);
    this.#arrivals.close();
    return this.#reason;
  }

  /**
   * From now on requests are answered `ESHUTDOWN`. The connection ends when all
   * requests that have come, in whole or in part, are answered, wherever they
   * are, and no more have come for a moment: what the client sent before it
   * heard of the end is on its way.
   *
   * @param reason Why, for the log.
   */
  stop(reason: string): void {
    if (this.#stopping) return;
    this.#stopping = true;
    this.#carrier.divert();
    this.#commands.stop();
    this.#reason = reason;
    this.#changed();
    // A macrotask of its own: no promise is about to be kept that would change
    // what is seen.
    this.#looks = setInterval(() => {
      if (this.#isDrained()) this.#looksInVain++;
      else this.#looksInVain = 0;
      this.#changed();
    }, STOP_LOOK_MS);
  }

  /** Requests, and parts of long ones, that the device has in flight. */
  get inFlight(): number {
    return this.#pending.count;
  }

  /** Cancels writes that wait for space. */
  cancelWaiting(): void {
    this.#abort.abort();
  }

  /** Ends the connection at once, whatever is in flight. */
  destroy(): void {
    this.#destroyed = true;
    this.#changed();
  }

  /**
   * Ends the connection if nothing is in flight, and nothing has come or gone
   * since the call before the last.
   */
  endIfIdle(): void {
    const { activity } = this.#carrier;
    if (this.#pending.count > 0 || activity !== this.#activity) {
      this.#quietTimes = 0;
      this.#activity = activity;
    } else if (++this.#quietTimes > 2) {
      this.#reason = "the client was idle for too long";
      this.destroy();
    }
  }

  #changed(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }

  #isFinished(stalled: boolean): boolean {
    if (this.#destroyed) return true;
    if (this.#isSliceOver && !this.#replies.failed) return false;
    const last = this.#deaf || this.#looksInVain >= STOP_LOOKS ||
      (this.#ended && !stalled) || this.#replies.failed;
    return last && this.#pending.count === 0 && this.#replies.idle;
  }

  /** Whether nothing is left to do: neither here nor on the way to here. */
  #isDrained(): boolean {
    return this.#pending.count === 0 && this.#replies.idle &&
      !this.#commands.isWaiting && this.#large === undefined &&
      this.#received.available === 0 && this.#carrier.isDrained;
  }

  /** Starts to receive. */
  #receive(): void {
    if (this.#ended) return;
    if (this.#pending.count === 1 && !this.#stopping) {
      this.#arrivals.receiveLater();
    } else this.#arrivals.receive();
  }

  /** Busy-polls, if nothing else is to be done; whether something has come. */
  #poll(): boolean {
    const isOpen = !this.#ended && !this.#deaf && !this.#stopping;
    const isIdle = isOpen && this.#pending.count === 0 && this.#replies.idle;
    if (!isIdle || !this.#arrivals.poll()) return false;
    this.#noteReceived();
    return true;
  }

  #noteReceived(): void {
    this.#quietTimes = 0;
    this.#looksInVain = 0;
  }

  /** The client is gone, or has at least nothing more to say. */
  #leave(): void {
    this.#ended = true;
    this.#abort.abort();
  }

  /** @returns Whether it has stopped although there may be more to do. */
  #execute(): boolean {
    if (this.#replies.failed) {
      if (!this.#ended) this.#leave();
      // A long read that they wait behind will not go on.
      this.#pending.letGo();
    }
    const commands = this.#commands;
    while (!this.#deaf && !this.#destroyed && !this.#replies.failed) {
      // First: others may wait to be answered until its answer is complete.
      if (commands.isWaiting) {
        commands.resume();
        if (commands.isWaiting || this.#spend(STEPS_A_LOOK)) return true;
        continue;
      }
      if (this.#mustWait()) return true;
      this.#arrivals.passLater();
      if (this.#large !== undefined) {
        if (!this.#takePiece(this.#large)) return false;
        if (this.#spend(STEPS_A_LOOK)) return true;
        continue;
      }
      const next = this.#reader.next();
      if (next === NEXT_MORE) return false;
      if (next === NEXT_END) {
        this.#endReading();
        break;
      }
      const { request } = this.#reader;
      if (!this.#replies.hasRoom(commands.roomFor(request))) return true;
      this.#perform(request, next === NEXT_WHOLE);
      if (this.#spend(stepsOf(request))) return true;
    }
    this.#received.skip(this.#received.available);
    return false;
  }

  #perform(request: NbdRequest, isWhole: boolean): void {
    const { headerSize, payloadLength } = this.#reader;
    const [received, commands] = [this.#received, this.#commands];
    this.#arrivals.noteRequest();
    received.skip(headerSize);
    if (payloadLength === 0) commands.perform(request);
    else if (!isWhole) this.#large = commands.begin(request);
    else commands.performWithPayload(request, received.take(payloadLength));
  }

  /** @returns Whether the slice is over. */
  #spend(steps: number): boolean {
    return this.#isSliceOver = this.#slice.spend(steps);
  }

  #mustWait(): boolean {
    // Once the client is gone or the server stops, no write waits any more.
    const congested = this.#commands.isCongested && !this.#ended &&
      !this.#stopping;
    return congested || this.#pending.count >= REQUESTS_PENDING_MAX;
  }

  /** The client has said goodbye, or has sent what is no request. */
  #endReading(): void {
    this.#deaf = true;
    const { problem } = this.#reader;
    if (problem === undefined) {
      this.#reason = "the client said goodbye";
      return;
    }
    this.#reason = `the client broke the protocol: ${problem}`;
    this.#abort.abort();
  }

  /** @returns False if more of it has to arrive first. */
  #takePiece(large: LargeWrite): boolean {
    const { offset, rest, failure } = large;
    const { available } = this.#received;
    // What is not written any more is dropped as it comes.
    const length = failure === undefined
      ? pieceLength(offset, rest, available)
      : Math.min(available, rest);
    if (length === 0) return false;
    if (length === rest) this.#large = undefined;
    this.#commands.performPiece(large, this.#received.take(length));
    return true;
  }
}
