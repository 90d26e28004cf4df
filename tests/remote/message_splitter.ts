/**
 * Cuts the two directions of a conversation with extended headers into
 * messages.
 *
 * @module
 */

import { NBD } from "../helpers/nbd_messages.ts";

/** A direction: from the client, or to the client. */
export type Direction = "down" | "up";

/** Bytes of a greeting, an option, an option reply, a request, a chunk. */
const GREETING = 18;
const CLIENT_FLAGS = 4;
const OPTION = 16;
const OPTION_REPLY = 20;
const HEADER = 32;

/** Cuts one direction. */
export class MessageSplitter {
  readonly #direction: Direction;
  #buffer = new Uint8Array();
  #phase: "begin" | "options" | "transmission" = "begin";

  /**
   * Begins a conversation.
   *
   * @param direction The direction.
   */
  constructor(direction: Direction) {
    this.#direction = direction;
  }

  /**
   * Takes bytes as they come.
   *
   * @param bytes The bytes.
   * @returns The messages that are complete now.
   */
  push(bytes: Uint8Array): Uint8Array[] {
    const joined = new Uint8Array(this.#buffer.length + bytes.length);
    joined.set(this.#buffer);
    joined.set(bytes, this.#buffer.length);
    this.#buffer = joined;
    const messages: Uint8Array[] = [];
    for (;;) {
      const length = this.#nextLength();
      if (length === undefined || length > this.#buffer.length) return messages;
      const message = this.#buffer.slice(0, length);
      this.#buffer = this.#buffer.slice(length);
      this.#advance(message);
      messages.push(message);
    }
  }

  /** Bytes of the next message, if its header is there. */
  #nextLength(): number | undefined {
    const view = new DataView(this.#buffer.buffer, this.#buffer.byteOffset);
    const isUp = this.#direction === "up";
    if (this.#phase === "begin") return isUp ? CLIENT_FLAGS : GREETING;
    if (this.#phase === "options") {
      const size = isUp ? OPTION : OPTION_REPLY;
      if (this.#buffer.length < size) return undefined;
      return size + view.getUint32(size - 4);
    }
    if (this.#buffer.length < HEADER) return undefined;
    const isPayload = !isUp || view.getUint16(6) === NBD.CMD_WRITE;
    return HEADER + (isPayload ? Number(view.getBigUint64(24)) : 0);
  }

  #advance(message: Uint8Array): void {
    if (this.#phase === "begin") this.#phase = "options";
    else if (this.#phase === "options") {
      const view = new DataView(message.buffer);
      const isEnd = view.getUint32(8) === NBD.OPT_GO &&
        (this.#direction === "up" || view.getUint32(12) === NBD.REP_ACK);
      if (isEnd) this.#phase = "transmission";
    }
  }
}
