/**
 * What replies look like on the wire: one interface, implemented for each
 * dialect and chosen once per connection. Pure: bytes in a buffer, no state.
 *
 * Source: NBD `doc/proto.md`, section "Simple reply message". Big-endian.
 *
 * @module
 */

import type { Failure } from "./failure.ts";
import { SIMPLE_REPLY_MAGIC, SIMPLE_REPLY_SIZE } from "./protocol.ts";
import type { ReplyAddress } from "./request.ts";

/** Writes replies into a buffer. */
export interface ReplyForm {
  /** Bytes before the data of a READ. */
  readonly dataHeaderSize: number;
  /** The most bytes of a reply without data. */
  readonly shortReplyMax: number;

  /**
   * Writes what comes before data.
   *
   * @param view The buffer.
   * @param at Where the reply starts; the data is `dataHeaderSize` behind.
   * @param to Whom it answers.
   * @param offset Where the data is on the disk.
   * @param length Bytes of data, above 0.
   * @param isLast Whether this completes the answer.
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
   * Writes that a request without data succeeded.
   *
   * @param view The buffer.
   * @param at Where the reply starts.
   * @param to Whom it answers.
   * @returns Bytes written.
   */
  setSuccess(view: DataView, at: number, to: ReplyAddress): number;

  /**
   * Writes that a request failed; this completes the answer.
   *
   * @param view The buffer.
   * @param at Where the reply starts.
   * @param to Whom it answers.
   * @param failure How it failed.
   * @param offset Where on the disk, if known; inside the request.
   * @returns Bytes written.
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
 * Writes a simple reply: u32 magic, u32 error, u64 cookie.
 *
 * @param view The buffer.
 * @param at Where it starts.
 * @param to Whom it answers.
 * @param errno 0, or the error value.
 * @returns Bytes written.
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

/** Simple replies: a header, then all data, if there is any. */
export class SimpleForm implements ReplyForm {
  /** Bytes before the data of a READ. */
  readonly dataHeaderSize: number = SIMPLE_REPLY_SIZE;
  /** The most bytes of a reply without data. */
  readonly shortReplyMax: number = SIMPLE_REPLY_SIZE;

  /**
   * Writes what comes before data, which is all of it.
   *
   * @param view The buffer.
   * @param at Where the reply starts.
   * @param to Whom it answers.
   */
  setData(view: DataView, at: number, to: ReplyAddress): void {
    setSimpleReply(view, at, to, 0);
  }

  /**
   * Writes that a request without data succeeded.
   *
   * @param view The buffer.
   * @param at Where the reply starts.
   * @param to Whom it answers.
   * @returns Bytes written.
   */
  setSuccess(view: DataView, at: number, to: ReplyAddress): number {
    return setSimpleReply(view, at, to, 0);
  }

  /**
   * Writes that a request failed; there is no room for a text.
   *
   * @param view The buffer.
   * @param at Where the reply starts.
   * @param to Whom it answers.
   * @param failure How it failed.
   * @returns Bytes written.
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
