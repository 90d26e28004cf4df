/**
 * Decodes the header of a request. Source: NBD `doc/proto.md`, section
 * "Request message": u32 magic, u16 flags, u16 command, u64 cookie, u64
 * offset, u32 length; big-endian.
 *
 * @module
 */

import { REQUEST_MAGIC } from "./protocol.ts";

/** A request's header. One per connection, overwritten by each request. */
export interface NbdRequest {
  /** Command flags, 16 bits. */
  flags: number;
  /** The command, 16 bits. */
  command: number;
  /** First half of what the reply has to carry; signed, it is only copied. */
  cookieHigh: number;
  /** Second half of what the reply has to carry. */
  cookieLow: number;
  /** The first byte; not exact from 2^53 on, where no device reaches. */
  offset: number;
  /** Bytes, 0 to 2^32 - 1. */
  length: number;
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
    offset: 0,
    length: 0,
  };
}

/**
 * Decodes a header of 28 bytes.
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
  request.flags = view.getUint16(at + 4);
  request.command = view.getUint16(at + 6);
  request.cookieHigh = view.getInt32(at + 8);
  request.cookieLow = view.getInt32(at + 12);
  request.offset = view.getUint32(at + 16) * 2 ** 32 + view.getUint32(at + 20);
  request.length = view.getUint32(at + 24);
  return true;
}
