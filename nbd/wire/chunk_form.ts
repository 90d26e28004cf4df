/**
 * Encodes the reply chunks of the structured and the extended dialect into a
 * buffer. No I/O, no state.
 *
 * Source: NBD `doc/proto.md`, sections "Structured reply chunk message",
 * "Extended reply chunk message" and "Structured reply types". All fields are
 * big-endian.
 *
 * @module
 */

import type { Failure } from "./failure.ts";
import { ERROR_TEXT_MAX } from "./limits.ts";
import {
  CHUNK_BLOCK_STATUS,
  CHUNK_BLOCK_STATUS_EXT,
  CHUNK_DONE,
  CHUNK_ERROR,
  CHUNK_ERROR_OFFSET,
  CHUNK_NONE,
  CHUNK_OFFSET_DATA,
  CHUNK_OFFSET_HOLE,
  EXTENDED_REPLY_MAGIC,
  EXTENDED_REPLY_SIZE,
  STRUCTURED_REPLY_MAGIC,
  STRUCTURED_REPLY_SIZE,
} from "./protocol.ts";
import { type ReplyForm, setSimpleReply } from "./reply_form.ts";
import type { ReplyAddress } from "./request.ts";

/**
 * Bytes of the payload of an ERROR_OFFSET chunk without its text: u32 error,
 * u16 length of the text, u64 offset.
 */
const FAILURE_SIZE = 4 + 2 + 8;
/** Bytes of the payload of an OFFSET_HOLE chunk: u64 offset, u32 length. */
const HOLE_SIZE = 8 + 4;

const ENCODER = new TextEncoder();

/**
 * Encodes reply chunks with the headers of one of the two dialects. What
 * {@linkcode ReplyForm} describes is not described again.
 */
export class ChunkForm implements ReplyForm {
  /** Bytes of an OFFSET_DATA chunk before its data. */
  readonly dataHeaderSize: number;
  /** Bytes of the longest reply without data: an ERROR_OFFSET chunk. */
  readonly shortReplyMax: number;
  /** Bytes of an OFFSET_HOLE chunk. */
  readonly holeSize: number;
  /** Bytes of a BLOCK_STATUS chunk before its runs. */
  readonly statusHeaderSize: number;
  /** Bytes of one run in a BLOCK_STATUS chunk. */
  readonly runSize: number;

  readonly #extended: boolean;
  readonly #headerSize: number;

  /**
   * Creates an encoder for one dialect.
   *
   * @param extended True for extended headers, false for structured ones.
   */
  constructor(extended: boolean) {
    const headerSize = extended ? EXTENDED_REPLY_SIZE : STRUCTURED_REPLY_SIZE;
    this.#extended = extended;
    this.#headerSize = headerSize;
    this.dataHeaderSize = headerSize + 8;
    this.shortReplyMax = headerSize + FAILURE_SIZE + ERROR_TEXT_MAX;
    this.holeSize = headerSize + HOLE_SIZE;
    this.statusHeaderSize = headerSize + (extended ? 8 : 4);
    this.runSize = extended ? 16 : 8;
  }

  /** An OFFSET_DATA chunk's header and u64 offset, before its data. */
  setData(
    view: DataView,
    at: number,
    to: ReplyAddress,
    offset: number,
    length: number,
    isLast: boolean,
  ): void {
    this.#setHeader(view, at, CHUNK_OFFSET_DATA, to, 8 + length, isLast);
    setUint64(view, at + this.#headerSize, offset);
  }

  setSuccess(view: DataView, at: number, to: ReplyAddress): number {
    // The structured dialect also allows a simple reply here; it is shorter.
    return this.#extended
      ? this.setEnd(view, at, to)
      : setSimpleReply(view, at, to, 0);
  }

  /**
   * Encodes a NONE chunk, which completes a reply in chunks.
   *
   * @param view The reply buffer.
   * @param at Position of the chunk in the buffer, bytes.
   * @param to The request that the chunk answers.
   * @returns Bytes of the chunk.
   */
  setEnd(view: DataView, at: number, to: ReplyAddress): number {
    this.#setHeader(view, at, CHUNK_NONE, to, 0, true);
    return this.#headerSize;
  }

  /**
   * An ERROR chunk: u32 error, u16 length of the text, text. With an offset an
   * ERROR_OFFSET chunk: the same fields, then u64 offset. The text is cut after
   * `ERROR_TEXT_MAX` bytes.
   */
  setFailure(
    view: DataView,
    at: number,
    to: ReplyAddress,
    failure: Failure,
    offset: number | undefined,
  ): number {
    const start = at + this.#headerSize;
    const { written } = ENCODER.encodeInto(
      failure.text,
      new Uint8Array(view.buffer, start + 6, ERROR_TEXT_MAX),
    );
    view.setUint32(start, failure.errno);
    view.setUint16(start + 4, written);
    let type = CHUNK_ERROR;
    let length = 6 + written;
    if (offset !== undefined) {
      type = CHUNK_ERROR_OFFSET;
      setUint64(view, start + length, offset);
      length += 8;
    }
    this.#setHeader(view, at, type, to, length, true);
    return this.#headerSize + length;
  }

  /**
   * Encodes an OFFSET_HOLE chunk: u64 offset, u32 length.
   *
   * @param view The reply buffer.
   * @param at Position of the chunk in the buffer, bytes.
   * @param to The request that the chunk answers.
   * @param offset First byte of the hole on the export.
   * @param length Bytes of the hole, 1 to 2^32 - 1.
   * @param isLast Whether the chunk completes the reply.
   */
  setHole(
    view: DataView,
    at: number,
    to: ReplyAddress,
    offset: number,
    length: number,
    isLast: boolean,
  ): void {
    this.#setHeader(view, at, CHUNK_OFFSET_HOLE, to, HOLE_SIZE, isLast);
    setUint64(view, at + this.#headerSize, offset);
    view.setUint32(at + this.#headerSize + 8, length);
  }

  /**
   * Encodes the part of a BLOCK_STATUS chunk that precedes its runs: the
   * header and u32 context id; with extended headers (BLOCK_STATUS_EXT) also
   * u32 count of runs.
   *
   * @param view The reply buffer.
   * @param at Position of the chunk in the buffer, bytes.
   * @param to The request that the chunk answers.
   * @param id The id of the metadata context.
   * @param count Number of runs, above 0.
   * @param isLast Whether the chunk completes the reply.
   * @returns Bytes of the whole chunk, including its runs.
   */
  setStatus(
    view: DataView,
    at: number,
    to: ReplyAddress,
    id: number,
    count: number,
    isLast: boolean,
  ): number {
    const size = this.statusHeaderSize + count * this.runSize;
    const type = this.#extended ? CHUNK_BLOCK_STATUS_EXT : CHUNK_BLOCK_STATUS;
    this.#setHeader(view, at, type, to, size - this.#headerSize, isLast);
    view.setUint32(at + this.#headerSize, id);
    if (this.#extended) view.setUint32(at + this.#headerSize + 4, count);
    return size;
  }

  /**
   * Encodes one run of a BLOCK_STATUS chunk: u32 length, u32 flags; with
   * extended headers u64 length, u64 flags.
   *
   * @param view The reply buffer.
   * @param at Position of the chunk in the buffer, bytes.
   * @param index Index of the run in the chunk, from 0.
   * @param length Bytes of the run, above 0.
   * @param flags Status of the run, 32 bits.
   */
  setRun(
    view: DataView,
    at: number,
    index: number,
    length: number,
    flags: number,
  ): void {
    const start = at + this.statusHeaderSize + index * this.runSize;
    if (this.#extended) {
      setUint64(view, start, length);
      view.setUint32(start + 8, 0);
      view.setUint32(start + 12, flags);
    } else {
      view.setUint32(start, length);
      view.setUint32(start + 4, flags);
    }
  }

  /**
   * Encodes the header of a chunk: u32 magic, u16 flags, u16 type, u64 cookie,
   * u32 length of the payload. An extended header has u64 offset of the
   * request before the length, and a length of u64.
   */
  #setHeader(
    view: DataView,
    at: number,
    type: number,
    to: ReplyAddress,
    length: number,
    isLast: boolean,
  ): void {
    view.setUint16(at + 4, isLast ? CHUNK_DONE : 0);
    view.setUint16(at + 6, type);
    view.setInt32(at + 8, to.cookieHigh);
    view.setInt32(at + 12, to.cookieLow);
    if (this.#extended) {
      view.setUint32(at, EXTENDED_REPLY_MAGIC);
      view.setInt32(at + 16, to.offsetHigh);
      view.setInt32(at + 20, to.offsetLow);
      view.setUint32(at + 24, 0);
      view.setUint32(at + 28, length);
    } else {
      view.setUint32(at, STRUCTURED_REPLY_MAGIC);
      view.setUint32(at + 16, length);
    }
  }
}

/** Encodes a u64; `value` is a whole number below 2^53. */
function setUint64(view: DataView, at: number, value: number): void {
  view.setUint32(at, value / 2 ** 32);
  view.setUint32(at + 4, value);
}
