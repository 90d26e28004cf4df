/**
 * Encodes replies: one interface, implemented for each dialect and chosen once
 * for each connection. No I/O, no state.
 *
 * Source: NBD `doc/proto.md`, section "Simple reply message". All fields are
 * big-endian.
 *
 * @module
 */

import type { Failure } from "./failure.ts";
import { SIMPLE_REPLY_MAGIC, SIMPLE_REPLY_SIZE } from "./protocol.ts";
import type { ReplyAddress } from "./request.ts";

/** Encodes replies of one dialect into a buffer. */
export interface ReplyForm {
  /** Bytes of a reply to READ before its data. */
  readonly dataHeaderSize: number;
  /** Bytes of the longest reply without data. */
  readonly shortReplyMax: number;

  /**
   * Encodes the part of a reply to READ that precedes its data.
   *
   * @param view The reply buffer.
   * @param at Position of the reply in the buffer, bytes; the data follows at
   *   `at + dataHeaderSize`.
   * @param to The request that the reply answers.
   * @param offset First byte of the data on the export.
   * @param length Bytes of data, above 0.
   * @param isLast Whether this data completes the reply.
   */
  setData(
    view: DataView,
    at: number,
    to: ReplyAddress,
    offset: number,
    length: number,
    isLast: boolean,
  ): void;

  /**
   * Encodes the reply to a request that succeeded and returns no data.
   *
   * @param view The reply buffer.
   * @param at Position of the reply in the buffer, bytes.
   * @param to The request that the reply answers.
   * @returns Bytes of the reply.
   */
  setSuccess(view: DataView, at: number, to: ReplyAddress): number;

  /**
   * Encodes the failure of a request, which completes the reply.
   *
   * @param view The reply buffer.
   * @param at Position of the reply in the buffer, bytes.
   * @param to The request that the reply answers.
   * @param failure The error value and text.
   * @param offset Byte of the export at which the request failed, inside the
   *   request; `undefined` if not known.
   * @returns Bytes of the reply.
   */
  setFailure(
    view: DataView,
    at: number,
    to: ReplyAddress,
    failure: Failure,
    offset: number | undefined,
  ): number;
}

/**
 * Encodes a simple reply: u32 magic, u32 error, u64 cookie.
 *
 * @param view The reply buffer.
 * @param at Position of the reply in the buffer, bytes.
 * @param to The request that the reply answers.
 * @param errno 0 for success, or a value of section "Error values".
 * @returns Bytes of the reply without data: 16.
 */
export function setSimpleReply(
  view: DataView,
  at: number,
  to: ReplyAddress,
  errno: number,
): number {
  view.setUint32(at, SIMPLE_REPLY_MAGIC);
  view.setUint32(at + 4, errno);
  view.setInt32(at + 8, to.cookieHigh);
  view.setInt32(at + 12, to.cookieLow);
  return SIMPLE_REPLY_SIZE;
}

/** Encodes simple replies: a header, then all data of a READ. */
export class SimpleForm implements ReplyForm {
  /** Bytes of a reply to READ before its data. */
  readonly dataHeaderSize: number = SIMPLE_REPLY_SIZE;
  /** Bytes of the longest reply without data. */
  readonly shortReplyMax: number = SIMPLE_REPLY_SIZE;

  /**
   * Encodes the header of a reply to READ. All data of the READ follows.
   *
   * @param view The reply buffer.
   * @param at Position of the reply in the buffer, bytes.
   * @param to The request that the reply answers.
   */
  setData(view: DataView, at: number, to: ReplyAddress): void {
    setSimpleReply(view, at, to, 0);
  }

  /**
   * Encodes the reply to a request that succeeded and returns no data.
   *
   * @param view The reply buffer.
   * @param at Position of the reply in the buffer, bytes.
   * @param to The request that the reply answers.
   * @returns Bytes of the reply.
   */
  setSuccess(view: DataView, at: number, to: ReplyAddress): number {
    return setSimpleReply(view, at, to, 0);
  }

  /**
   * Encodes the failure of a request. A simple reply carries the error value
   * and no text.
   *
   * @param view The reply buffer.
   * @param at Position of the reply in the buffer, bytes.
   * @param to The request that the reply answers.
   * @param failure The error value; the text is not sent.
   * @returns Bytes of the reply.
   */
  setFailure(
    view: DataView,
    at: number,
    to: ReplyAddress,
    failure: Failure,
  ): number {
    return setSimpleReply(view, at, to, failure.errno);
  }
}
