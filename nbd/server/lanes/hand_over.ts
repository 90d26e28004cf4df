/**
 * What the thread of a lane hands over to the server: requests as they came,
 * those of a batch in one message, which wakes the server once.
 *
 * @module
 */

import {
  LANE_AHEAD_MAX,
  LANE_BACKLOG_MAX,
  LANE_MESSAGE_COST,
  LANE_WANTS_MAX,
  type ReplyAddress,
  REQUEST_MAGIC,
  REQUEST_SIZE,
} from "../../wire/mod.ts";
import type { ReceiveBuffer } from "../transmission/mod.ts";
import type { LaneControl } from "./lane_control.ts";
import type { LaneReport } from "./lane_messages.ts";

/** Collects what is handed over of one connection. */
export class HandOver {
  readonly #received: ReceiveBuffer;
  readonly #control: LaneControl;
  readonly #report: (report: LaneReport) => void;
  /** In the receive buffer: where each piece begins and ends, in turn. */
  readonly #pieces: number[] = [];
  #wants: number[] = [];
  /** Requests that the thread has answered while the server was behind. */
  #ahead = 0;

  /**
   * Begins with nothing.
   *
   * @param received Where the requests are.
   * @param control What is shared with the server.
   * @param report Where to tell it.
   */
  constructor(
    received: ReceiveBuffer,
    control: LaneControl,
    report: (report: LaneReport) => void,
  ) {
    this.#received = received;
    this.#control = control;
    this.#report = report;
  }

  /** Whether the server has taken all that was handed over. */
  get isIdle(): boolean {
    return this.#pieces.length === 0 && this.#control.backlog === 0;
  }

  /**
   * Takes the next bytes of the receive buffer.
   *
   * @param length How many.
   */
  take(length: number): void {
    const pieces = this.#pieces;
    const { start } = this.#received;
    if (pieces.at(-1) === start) pieces[pieces.length - 1] = start + length;
    else pieces.push(start, start + length);
    this.#received.skip(length);
  }

  /**
   * Asks for the lease of a chunk, with the next message.
   *
   * @param offset A byte of the chunk.
   */
  want(offset: number): void {
    if (this.#wants.length < LANE_WANTS_MAX) this.#wants.push(offset);
  }

  /**
   * Sends what was taken; before the receive buffer is used for other bytes.
   *
   * Requires that the thread holds no replies back: it may have to wait.
   */
  send(): void {
    const pieces = this.#pieces;
    if (pieces.length === 0) return;
    const [first = 0, end = 0] = pieces;
    const { memory } = this.#received;
    if (pieces.length === 2) this.#post(memory.slice(first, end));
    else this.#post(joined(memory, pieces));
    pieces.length = 0;
  }

  /**
   * Sends what is left of a READ or WRITE as a compact request of its own, with
   * its cookie, but for the payload, which follows.
   *
   * @param command READ or WRITE.
   * @param to The request that the reply answers.
   * @param offset Where the rest goes.
   * @param rest How many bytes are left.
   */
  sendRest(
    command: number,
    to: ReplyAddress,
    offset: number,
    rest: number,
  ): void {
    this.send();
    const bytes = new Uint8Array(REQUEST_SIZE);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, REQUEST_MAGIC);
    view.setUint16(6, command);
    view.setInt32(8, to.cookieHigh);
    view.setInt32(12, to.cookieLow);
    view.setUint32(16, Math.floor(offset / 2 ** 32));
    view.setUint32(20, offset % 2 ** 32);
    view.setUint32(24, rest);
    this.#post(bytes);
  }

  /**
   * Waits while the server is too far behind: it has many bytes to take, or the
   * thread has answered many requests that came after older ones.
   *
   * @param answered Requests that the thread has answered since the last call.
   */
  keepStep(answered: number): void {
    const control = this.#control;
    const { backlog } = control;
    this.#ahead = backlog > 0 ? this.#ahead + answered : 0;
    if (this.#ahead > LANE_AHEAD_MAX) control.awaitBacklog(0);
    else if (backlog > LANE_BACKLOG_MAX) control.awaitBacklog(LANE_BACKLOG_MAX);
  }

  #post(bytes: Uint8Array<ArrayBuffer>): void {
    this.#control.awaitBacklog(LANE_BACKLOG_MAX);
    this.#control.addBacklog(bytes.length + LANE_MESSAGE_COST);
    this.#report({ kind: "bytes", bytes, wants: this.#wants });
    this.#wants = [];
  }
}

function joined(
  memory: Uint8Array,
  pieces: readonly number[],
): Uint8Array<ArrayBuffer> {
  let length = 0;
  for (let i = 0; i < pieces.length; i += 2) {
    length += (pieces[i + 1] ?? 0) - (pieces[i] ?? 0);
  }
  const bytes = new Uint8Array(length);
  let at = 0;
  for (let i = 0; i < pieces.length; i += 2) {
    const piece = memory.subarray(pieces[i], pieces[i + 1]);
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}
