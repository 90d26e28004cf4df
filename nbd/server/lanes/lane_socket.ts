/**
 * The socket of a connection, as the thread of its lane uses it: one call
 * receives what has come, another one sends all replies.
 *
 * @module
 */

import type { NativeBuffer, NativeSockets } from "../../../device/linux/mod.ts";
import { POLL_US } from "../../wire/mod.ts";
import { Polling, type ReceiveBuffer } from "../transmission/mod.ts";
import type { LaneControl } from "./lane_control.ts";

/** What the socket of a lane is made of. */
export interface LaneSocketParts {
  /** The connection, which waits. */
  readonly descriptor: number;
  /** What sends and receives. */
  readonly sockets: NativeSockets;
  /** What is shared with the server. */
  readonly control: LaneControl;
  /** Where requests come. */
  readonly received: ReceiveBuffer;
  /** Where that is. */
  readonly address: number;
  /** Where replies are built. */
  readonly replies: NativeBuffer;
}

/** Receives and sends. */
export class LaneSocket {
  /** The connection takes no more replies. */
  isGone = false;
  /** Bytes of replies that wait to be sent. */
  used = 0;
  readonly #descriptor: number;
  readonly #sockets: NativeSockets;
  readonly #control: LaneControl;
  readonly #received: ReceiveBuffer;
  readonly #address: number;
  readonly #replies: NativeBuffer;
  readonly #polling = new Polling();

  /**
   * Takes a socket over.
   *
   * @param parts What it is made of.
   */
  constructor(parts: LaneSocketParts) {
    this.#descriptor = parts.descriptor;
    this.#sockets = parts.sockets;
    this.#control = parts.control;
    this.#received = parts.received;
    this.#address = parts.address;
    this.#replies = parts.replies;
  }

  /**
   * Finds room for a reply.
   *
   * @param size Its bytes, as many as the buffer has at most.
   * @returns Where it starts; add its bytes to {@linkcode used}.
   */
  reserve(size: number): number {
    if (this.used + size > this.#replies.bytes.length) this.send();
    return this.used;
  }

  /** Whether bytes have come that are not received. */
  get hasMore(): boolean {
    return !this.#sockets.isDrained(this.#descriptor, false);
  }

  /** Sends all replies; the server sends none in between. */
  send(): void {
    if (this.used === 0) return;
    const { address } = this.#replies;
    this.#control.lock();
    const done = this.#sockets.send(this.#descriptor, address, this.used);
    this.#control.unlock();
    this.used = 0;
    if (!done) this.isGone = true;
  }

  /**
   * Waits for bytes.
   *
   * @param batch How many requests came since the last call.
   * @param isInside Whether bytes of a large WRITE have not come.
   * @returns Whether there is something to do; false at the end.
   */
  receive(batch: number, isInside: boolean): boolean {
    const received = this.#received;
    received.makeRoom();
    const room = received.memory.length - received.end;
    const at = this.#address + received.end;
    let count = this.#receiveSoon(batch, at, room);
    while (count < 0) {
      if (this.#control.isDiverted && !isInside) {
        // Half a request is the server's, too.
        if (received.available > 0) return true;
        this.#rest();
      }
      count = this.#sockets.receive(this.#descriptor, at, room);
    }
    received.received(count);
    this.#control.noteActivity();
    return count > 0;
  }

  /**
   * Waits for bytes and receives none, so that a server that stops can know
   * that nothing is left: neither here, while the thread rests, nor in the
   * system, which the server asks.
   */
  #rest(): void {
    this.#control.rest(true);
    while (this.#sockets.awaitBytes(this.#descriptor) < 0);
    this.#control.rest(false);
  }

  /** @returns -1 if the thread has to sleep. */
  #receiveSoon(batch: number, at: number, room: number): number {
    const isWorthIt = this.#polling.isWorthIt(batch);
    if (!isWorthIt || !this.#control.isAlone) return -1;
    const count = this.#sockets.receiveSoon(
      this.#descriptor,
      at,
      room,
      POLL_US / 1000,
    );
    this.#polling.ended(count < 0);
    return count;
  }
}
