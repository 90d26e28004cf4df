/**
 * Decodes the header of a request. Source: NBD `doc/proto.md`, section
 * "Request message"; big-endian.
 *
 * - compact: u32 magic, u16 flags, u16 command, u64 cookie, u64 offset, u32
 *   length
 * - extended: the same with another magic and a u64 length
 *
 * @module
 */

import {
  COMMAND_WRITE,
  EXTENDED_REQUEST_MAGIC,
  FLAG_PAYLOAD_LEN,
  REQUEST_MAGIC,
} from "./protocol.ts";

/**
 * What a reply carries of its request: signed halves of 64-bit numbers, which
 * are only copied. And what is said of the request if the device fails it.
 */
export interface ReplyAddress {
  /** The command, 16 bits. */
  command: number;
  /**
   * Bytes, 0 to 2^32 - 1, or to 2^64 - 1 if it is extended; not exact from
   * 2^53 on.
   */
  length: number;
  /** First half of the cookie. */
  cookieHigh: number;
  /** Second half of the cookie. */
  cookieLow: number;
  /** First half of the request's offset. */
  offsetHigh: number;
  /** Second half of the request's offset. */
  offsetLow: number;
}

/** A request's header. One per connection, overwritten by each request. */
export interface NbdRequest extends ReplyAddress {
  /** Command flags, 16 bits. */
  flags: number;
  /** The first byte; not exact from 2^53 on, where no device reaches. */
  offset: number;
}

/**
 * Creates an empty request to decode into.
 *
 * @returns The request.
 */
export function createRequest(): NbdRequest {
  return {
    flags: 0,
    command: 0,
    cookieHigh: 0,
    cookieLow: 0,
    offsetHigh: 0,
    offsetLow: 0,
    offset: 0,
    length: 0,
  };
}

/**
 * Keeps what a reply needs after the request was overwritten.
 *
 * @param request The request.
 * @returns A copy of its address.
 */
export function addressOf(request: ReplyAddress): ReplyAddress {
  const { command, length } = request;
  const { cookieHigh, cookieLow, offsetHigh, offsetLow } = request;
  return { command, length, cookieHigh, cookieLow, offsetHigh, offsetLow };
}

/**
 * Decodes a compact header of 28 bytes.
 *
 * @param view Where it is.
 * @param at Its first byte.
 * @param request Where the fields go.
 * @returns False if the magic is wrong; then nothing was decoded.
 */
export function decodeRequest(
  view: DataView,
  at: number,
  request: NbdRequest,
): boolean {
  if (view.getUint32(at) !== REQUEST_MAGIC) return false;
  decodeStart(view, at, request);
  request.length = view.getUint32(at + 24);
  return true;
}

/**
 * Decodes an extended header of 32 bytes.
 *
 * @param view Where it is.
 * @param at Its first byte.
 * @param request Where the fields go.
 * @returns False if the magic is wrong; then nothing was decoded.
 */
export function decodeExtendedRequest(
  view: DataView,
  at: number,
  request: NbdRequest,
): boolean {
  if (view.getUint32(at) !== EXTENDED_REQUEST_MAGIC) return false;
  decodeStart(view, at, request);
  request.length = getUint64(view, at + 24);
  return true;
}

/**
 * Whether a payload of `length` bytes follows a header.
 *
 * @param request What was decoded.
 * @param extended Whether the header is extended.
 * @returns False also if it has no bytes.
 */
export function hasPayload(request: NbdRequest, extended: boolean): boolean {
  return request.length > 0 &&
    (extended
      ? (request.flags & FLAG_PAYLOAD_LEN) !== 0
      : request.command === COMMAND_WRITE);
}

/**
 * Reads a number of 64 bits.
 *
 * @param view Where it is.
 * @param at Its first byte.
 * @returns The number; not exact from 2^53 on.
 */
export function getUint64(view: DataView, at: number): number {
  return view.getUint32(at) * 2 ** 32 + view.getUint32(at + 4);
}

function decodeStart(view: DataView, at: number, request: NbdRequest): void {
  request.flags = view.getUint16(at + 4);
  request.command = view.getUint16(at + 6);
  request.cookieHigh = view.getInt32(at + 8);
  request.cookieLow = view.getInt32(at + 12);
  request.offsetHigh = view.getInt32(at + 16);
  request.offsetLow = view.getInt32(at + 20);
  request.offset = getUint64(view, at + 16);
}
