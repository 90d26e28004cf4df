/**
 * Encodes the headers of requests.
 *
 * Source: NBD `doc/proto.md`, section "Request message". All fields are
 * big-endian.
 *
 * @module
 */

import {
  EXTENDED_REQUEST_MAGIC,
  EXTENDED_REQUEST_SIZE,
  FLAG_PAYLOAD_LEN,
  REQUEST_MAGIC,
  REQUEST_SIZE,
} from "../../wire/mod.ts";
import type { Slot } from "./tag_table.ts";

/**
 * Encodes the header of a request.
 *
 * @param view The send buffer.
 * @param at Position of the header in the buffer, bytes.
 * @param slot The request.
 * @param isExtended Whether extended headers are negotiated.
 * @returns Bytes of the header.
 */
export function encodeRequest(
  view: DataView,
  at: number,
  slot: Slot,
  isExtended: boolean,
): number {
  const { command, flags, offset, length, payload } = slot.command;
  const hasPayload = payload !== undefined;
  const allFlags = isExtended && hasPayload ? flags | FLAG_PAYLOAD_LEN : flags;
  view.setUint32(at, isExtended ? EXTENDED_REQUEST_MAGIC : REQUEST_MAGIC);
  view.setUint16(at + 4, allFlags);
  view.setUint16(at + 6, command);
  view.setInt32(at + 8, slot.cookieHigh);
  view.setInt32(at + 12, slot.cookieLow);
  view.setUint32(at + 16, Math.floor(offset / 2 ** 32));
  view.setUint32(at + 20, offset % 2 ** 32);
  if (!isExtended) {
    view.setUint32(at + 24, length);
    return REQUEST_SIZE;
  }
  view.setUint32(at + 24, Math.floor(length / 2 ** 32));
  view.setUint32(at + 28, length % 2 ** 32);
  return EXTENDED_REQUEST_SIZE;
}
