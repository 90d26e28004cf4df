/**
 * Replies in chunks, structured or extended. Pure: bytes in a buffer.
 *
 * Source: NBD `doc/proto.md`, sections "Structured reply chunk message",
 * "Extended reply chunk message" and "Structured reply types". Big-endian.
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

/** Bytes of an error chunk's payload without its text: error, length, offset. */
const FAILURE_SIZE = 4 + 2 + 8;
/** Bytes of a hole chunk's payload: offset, length. */
const HOLE_SIZE = 8 + 4;

const ENCODER = new TextEncoder();

/** Chunks, with the headers of one of the two dialects. */
export class ChunkForm implements ReplyForm {
  /** Bytes before the data of a chunk. */
  readonly dataHeaderSize: number;
  /** The most bytes of a reply without data. */
  readonly shortReplyMax: number;
  /** Bytes of a hole chunk. */
  readonly holeSize: number;
  /** Bytes of a status chunk before its runs. */
  readonly statusHeaderSize: number;
  /** Bytes of a run in a status chunk. */
  readonly runSize: number;

  readonly #extended: boolean;
  readonly #headerSize: number;

  /**
   * Creates a form.
   *
   * @param extended Whether headers are extended.
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

  /**
   * Writes what comes before the data of an OFFSET_DATA chunk: u64 offset.
   *
   * @param view The buffer.
   * @param at Where the chunk starts.
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
  ): void {
    this.#setHeader(view, at, CHUNK_OFFSET_DATA, to, 8 + length, isLast);
    setUint64(view, at + this.#headerSize, offset);
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
    // Next to chunks, a simple reply is allowed, and shorter.
    return this.#extended
      ? this.setEnd(view, at, to)
      : setSimpleReply(view, at, to, 0);
  }

  /**
   * Writes a NONE chunk, which completes an answer in chunks.
   *
   * @param view The buffer.
   * @param at Where the chunk starts.
   * @param to Whom it answers.
   * @returns Bytes written.
   */
  setEnd(view: DataView, at: number, to: ReplyAddress): number {
    this.#setHeader(view, at, CHUNK_NONE, to, 0, true);
    return this.#headerSize;
  }

  /**
   * Writes an ERROR chunk: u32 error, u16 length of the text, the text; or an
   * ERROR_OFFSET chunk: the same, u64 offset.
   *
   * @param view The buffer.
   * @param at Where the chunk starts.
   * @param to Whom it answers.
   * @param failure How the request failed.
   * @param offset Where on the disk, if known; inside the request.
   * @returns Bytes written.
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
   * Writes an OFFSET_HOLE chunk: u64 offset, u32 length.
   *
   * @param view The buffer.
   * @param at Where the chunk starts.
   * @param to Whom it answers.
   * @param offset Where the hole is on the disk.
   * @param length Its bytes, 1 to 2^32 - 1.
   * @param isLast Whether this completes the answer.
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
   * Writes what comes before the runs of a BLOCK_STATUS chunk: u32 context
   * id; extended, also u32 count.
   *
   * @param view The buffer.
   * @param at Where the chunk starts.
   * @param to Whom it answers.
   * @param id The context's.
   * @param count How many runs follow, above 0.
   * @param isLast Whether this completes the answer.
   * @returns Bytes of the whole chunk.
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
   * Writes a run of a status chunk: u32 length, u32 flags; extended, u64 each.
   *
   * @param view The buffer.
   * @param at Where the chunk starts.
   * @param index Which run.
   * @param length Its bytes, above 0.
   * @param flags Its status, 32 bits.
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
   * u32 magic, u16 flags, u16 type, u64 cookie; extended, u64 offset of the
   * request; u32 length of the payload, or extended u64.
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

/** Writes a whole number below 2^53. */
function setUint64(view: DataView, at: number, value: number): void {
  view.setUint32(at, value / 2 ** 32);
  view.setUint32(at + 4, value);
}
