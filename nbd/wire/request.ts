/**
 * Decodes the headers of requests.
 *
 * Source: NBD `doc/proto.md`, section "Request message". All fields are
 * big-endian.
 *
 * - compact: u32 magic, u16 flags, u16 command, u64 cookie, u64 offset, u32
 *   length
 * - extended: the same fields with another magic and a u64 length
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
 * The fields of a request that its reply carries, and those that the log names
 * if the device fails the request. The halves of 64-bit numbers are signed: the
 * server only copies them.
 */
export interface ReplyAddress {
  /** The command, 16 bits. */
  command: number;
  /**
   * Length of the range, bytes: 0 to 2^32 - 1 in a compact header, to 2^64 - 1
   * in an extended one. Not exact from 2^53 on.
   */
  length: number;
  /** High 32 bits of the cookie. */
  cookieHigh: number;
  /** Low 32 bits of the cookie. */
  cookieLow: number;
  /** High 32 bits of the request's offset. */
  offsetHigh: number;
  /** Low 32 bits of the request's offset. */
  offsetLow: number;
}

/**
 * The header of a request. Each connection has one object, which the next
 * request overwrites: copy what must last with {@linkcode addressOf}.
 */
export interface NbdRequest extends ReplyAddress {
  /** Command flags, 16 bits. */
  flags: number;
  /**
   * First byte of the range. Not exact from 2^53 on, past the end of any
   * device.
   */
  offset: number;
}

/**
 * Creates a request to decode headers into.
 *
 * @returns A request whose fields are all 0.
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
 * Copies the fields that a reply needs, for a reply that is encoded after the
 * next request has overwritten this one.
 *
 * @param request The request.
 * @returns A copy.
 */
export function addressOf(request: ReplyAddress): ReplyAddress {
  const { command, length } = request;
  const { cookieHigh, cookieLow, offsetHigh, offsetLow } = request;
  return { command, length, cookieHigh, cookieLow, offsetHigh, offsetLow };
}

/**
 * Decodes a compact header of 28 bytes.
 *
 * @param view The receive buffer.
 * @param at Position of the header in the buffer, bytes.
 * @param request The request that receives the fields.
 * @returns False if the magic is wrong; then `request` is unchanged.
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
 * @param view The receive buffer.
 * @param at Position of the header in the buffer, bytes.
 * @param request The request that receives the fields.
 * @returns False if the magic is wrong; then `request` is unchanged.
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
 * Tells whether a payload of `request.length` bytes follows the header.
 *
 * @param request The decoded header.
 * @param extended Whether the header is extended.
 * @returns False also for a payload of 0 bytes.
 */
export function hasPayload(request: NbdRequest, extended: boolean): boolean {
  return request.length > 0 &&
    (extended
      ? (request.flags & FLAG_PAYLOAD_LEN) !== 0
      : request.command === COMMAND_WRITE);
}

/**
 * Decodes a u64.
 *
 * @param view The buffer.
 * @param at Position of the number in the buffer, bytes.
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
