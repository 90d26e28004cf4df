/**
 * What comes next on a connection: decodes the requests of a receive buffer,
 * one after the other. The event loop and the lanes read with it alike.
 *
 * @module
 */

import { inBytes } from "../../../errors.ts";
import {
  COMMAND_DISCONNECT,
  createRequest,
  decodeExtendedRequest,
  decodeRequest,
  EXTENDED_REQUEST_SIZE,
  hasPayload,
  type NbdRequest,
  PAYLOAD_SIZE_MAX,
  PAYLOAD_WHOLE_MAX,
  REQUEST_SIZE,
} from "../../wire/mod.ts";
import type { ReceiveBuffer } from "./receive_buffer.ts";

/** More bytes have to come first. */
export const NEXT_MORE = 0;
/** A request, with all of its payload. */
export const NEXT_WHOLE = 1;
/** A request whose payload is too long to be collected. */
export const NEXT_LARGE = 2;
/** Nothing more can be read: a goodbye, or no request at all. */
export const NEXT_END = 3;

/** Reads the requests of one connection. */
export class RequestReader {
  /** What {@linkcode next} has decoded; overwritten by the next request. */
  readonly request: NbdRequest = createRequest();
  /** Bytes of a request's header. */
  readonly headerSize: number;
  /** What is wrong at the end; undefined after a goodbye. */
  problem: string | undefined = undefined;
  readonly #received: ReceiveBuffer;
  readonly #extended: boolean;

  /**
   * Begins with the first request.
   *
   * @param received Where the bytes are.
   * @param extended Whether headers are extended.
   */
  constructor(received: ReceiveBuffer, extended: boolean) {
    this.#received = received;
    this.#extended = extended;
    this.headerSize = extended ? EXTENDED_REQUEST_SIZE : REQUEST_SIZE;
  }

  /**
   * Decodes the header at the start of the buffer, and leaves it there.
   *
   * @returns {@linkcode NEXT_MORE}, {@linkcode NEXT_WHOLE},
   *   {@linkcode NEXT_LARGE} or {@linkcode NEXT_END}.
   */
  next(): number {
    const { available, view, start } = this.#received;
    const { request, headerSize } = this;
    if (available < headerSize) return NEXT_MORE;
    const isRequest = this.#extended
      ? decodeExtendedRequest(view, start, request)
      : decodeRequest(view, start, request);
    if (!isRequest) {
      this.problem = "a request has a wrong magic";
      return NEXT_END;
    }
    if (request.command === COMMAND_DISCONNECT) return NEXT_END;
    if (!hasPayload(request, this.#extended)) return NEXT_WHOLE;
    const { length } = request;
    if (this.#extended && length > PAYLOAD_SIZE_MAX) {
      this.problem = `a payload has ${inBytes(length)}`;
      return NEXT_END;
    }
    if (available >= headerSize + length) return NEXT_WHOLE;
    return length > PAYLOAD_WHOLE_MAX ? NEXT_LARGE : NEXT_MORE;
  }

  /** Bytes of the payload that follows the header of {@linkcode request}. */
  get payloadLength(): number {
    const { request } = this;
    return hasPayload(request, this.#extended) ? request.length : 0;
  }
}
