/**
 * Receives replies, and checks everything in them: magic, cookie, type, flags,
 * lengths and ranges. A reply that the protocol does not allow ends the
 * connection: nothing after it can be trusted.
 *
 * Source: NBD `doc/proto.md`, sections "Simple reply message", "Structured
 * reply chunk message", "Extended reply chunk message" and "Structured reply
 * types". All fields are big-endian.
 *
 * @module
 */

import { inBytes } from "../../../errors.ts";
import {
  CHUNK_BLOCK_STATUS,
  CHUNK_BLOCK_STATUS_EXT,
  CHUNK_DONE,
  CHUNK_ERROR_OFFSET,
  CHUNK_NONE,
  CHUNK_OFFSET_DATA,
  CHUNK_OFFSET_HOLE,
  COMMAND_BLOCK_STATUS,
  COMMAND_READ,
  type Dialect,
  EXTENDED_REPLY_MAGIC,
  EXTENDED_REPLY_SIZE,
  getUint64,
  SIMPLE_REPLY_MAGIC,
  SIMPLE_REPLY_SIZE,
  STRING_SIZE_MAX,
  STRUCTURED_REPLY_MAGIC,
  STRUCTURED_REPLY_SIZE,
} from "../../wire/mod.ts";
import { type ByteReader, ProtocolFault } from "../connection/mod.ts";
import type { Slot, TagTable } from "./tag_table.ts";

/** Bit of a chunk type: the chunk reports an error. */
const TYPE_ERROR = 1 << 15;
/** Runs that the protocol allows in one chunk. */
const RUNS_MAX = 2 ** 20;

/** What a connection has negotiated, as far as replies depend on it. */
export interface ReplyRules {
  /** The dialect. */
  readonly dialect: Dialect;
  /** Id of the metadata context that is selected, if any. */
  readonly contextId: number | undefined;
  /**
   * Tells whether the connection has ended. Then no reply may touch a buffer:
   * another connection may be filling it.
   *
   * @returns True once it has.
   */
  isEnded(): boolean;
}

/** Receives the replies of one connection. */
export class ReplyReader {
  readonly #reader: ByteReader;
  readonly #tags: TagTable;
  readonly #rules: ReplyRules;

  /**
   * Receives from a connection.
   *
   * @param reader Receives bytes.
   * @param tags The requests in flight.
   * @param rules What is negotiated.
   */
  constructor(reader: ByteReader, tags: TagTable, rules: ReplyRules) {
    this.#reader = reader;
    this.#tags = tags;
    this.#rules = rules;
  }

  /**
   * Receives one simple reply or one chunk.
   *
   * @returns The request that is complete with it, or `undefined` if more
   *   chunks follow, or the connection has ended meanwhile.
   * @throws {VirstorError} If the connection breaks, or the server breaks the
   *   protocol.
   */
  async next(): Promise<Slot | undefined> {
    const reader = this.#reader;
    const { dialect } = this.#rules;
    if (reader.available < SIMPLE_REPLY_SIZE) {
      await reader.need(SIMPLE_REPLY_SIZE);
    }
    const magic = reader.view.getUint32(reader.position);
    if (magic === SIMPLE_REPLY_MAGIC && dialect !== "extended") {
      return await this.#simple();
    }
    if (magic === STRUCTURED_REPLY_MAGIC && dialect === "structured") {
      return await this.#chunk(STRUCTURED_REPLY_SIZE);
    }
    if (magic === EXTENDED_REPLY_MAGIC && dialect === "extended") {
      return await this.#chunk(EXTENDED_REPLY_SIZE);
    }
    throw new ProtocolFault(`a reply has the magic 0x${magic.toString(16)}`);
  }

  /**
   * Takes a reply that is in the buffer as a whole: a simple one, or one chunk
   * with all data of a READ, or one without content. So the replies that have
   * come together take no promise each.
   *
   * @returns The request that is complete with it; undefined if
   *   {@linkcode next} has to look at what comes.
   * @throws {VirstorError} If the server breaks the protocol.
   */
  takeBuffered(): Slot | undefined {
    const { available, view, position } = this.#reader;
    if (available < SIMPLE_REPLY_SIZE) return undefined;
    const magic = view.getUint32(position);
    switch (this.#rules.dialect) {
      case "extended":
        return magic === EXTENDED_REPLY_MAGIC
          ? this.#takeChunk(EXTENDED_REPLY_SIZE)
          : undefined;
      case "structured":
        if (magic === STRUCTURED_REPLY_MAGIC) {
          return this.#takeChunk(STRUCTURED_REPLY_SIZE);
        }
    }
    return magic === SIMPLE_REPLY_MAGIC ? this.#takeSimple() : undefined;
  }

  #takeSimple(): Slot | undefined {
    const reader = this.#reader;
    const { view, position } = reader;
    if (view.getUint32(position + 4) !== 0) return undefined;
    const slot = this.#find(position + 8);
    const { command, target } = slot.command;
    const isRead = command === COMMAND_READ;
    const size = SIMPLE_REPLY_SIZE + (target?.length ?? 0);
    if (
      command === COMMAND_BLOCK_STATUS || reader.available < size ||
      (isRead && this.#rules.dialect !== "simple")
    ) return undefined;
    reader.take(SIMPLE_REPLY_SIZE);
    if (target !== undefined) target.set(reader.bytes(target.length));
    return slot;
  }

  #takeChunk(headerSize: number): Slot | undefined {
    const reader = this.#reader;
    const { view, position: at } = reader;
    if (reader.available < headerSize) return undefined;
    if (view.getUint16(at + 4) !== CHUNK_DONE) return undefined;
    const slot = this.#find(at + 8);
    const { command, offset, target } = slot.command;
    const isExtended = headerSize === EXTENDED_REPLY_SIZE;
    const length = isExtended
      ? getUint64(view, at + 24)
      : view.getUint32(at + 16);
    if (isExtended && getUint64(view, at + 16) !== offset) return undefined;
    const type = view.getUint16(at + 6);
    if (type === CHUNK_NONE) {
      const isBare = command !== COMMAND_READ &&
        command !== COMMAND_BLOCK_STATUS && slot.failure === undefined;
      if (!isBare || length !== 0) return undefined;
      reader.take(headerSize);
      return slot;
    }
    const isWhole = type === CHUNK_OFFSET_DATA && target !== undefined &&
      length === 8 + target.length && slot.coverage.isEmpty &&
      slot.failure === undefined &&
      reader.available >= headerSize + length &&
      getUint64(view, at + headerSize) === offset;
    if (!isWhole) return undefined;
    reader.take(headerSize + 8);
    target.set(reader.bytes(target.length));
    return slot;
  }

  #find(at: number): Slot {
    const { view } = this.#reader;
    const slot = this.#tags.find(view.getInt32(at), view.getInt32(at + 4));
    if (slot !== undefined) return slot;
    throw new ProtocolFault("a reply has a cookie that is not in flight");
  }

  async #simple(): Promise<Slot | undefined> {
    const { view } = this.#reader;
    const at = this.#reader.take(SIMPLE_REPLY_SIZE);
    const errno = view.getUint32(at + 4);
    const slot = this.#find(at + 8);
    const { command, target } = slot.command;
    const isChunked = this.#rules.dialect !== "simple";
    if (isChunked && command === COMMAND_READ) {
      throw new ProtocolFault("READ is answered without chunks");
    }
    if (errno !== 0) {
      slot.failure = { errno, text: "" };
      return slot;
    }
    if (command === COMMAND_BLOCK_STATUS) {
      throw new ProtocolFault("BLOCK_STATUS is answered without chunks");
    }
    if (target !== undefined) await this.#fill(target);
    return this.#rules.isEnded() ? undefined : slot;
  }

  async #chunk(headerSize: number): Promise<Slot | undefined> {
    const reader = this.#reader;
    const { view } = reader;
    await reader.need(headerSize);
    const at = reader.take(headerSize);
    const flags = view.getUint16(at + 4);
    const type = view.getUint16(at + 6);
    const slot = this.#find(at + 8);
    const isExtended = headerSize === EXTENDED_REPLY_SIZE;
    const length = isExtended
      ? getUint64(view, at + 24)
      : view.getUint32(at + 16);
    if (isExtended && getUint64(view, at + 16) !== slot.command.offset) {
      throw new ProtocolFault("a chunk has another offset than its request");
    }
    if ((flags & ~CHUNK_DONE) !== 0) {
      throw new ProtocolFault(`a chunk has the flags 0x${flags.toString(16)}`);
    }
    const isLast = (flags & CHUNK_DONE) !== 0;
    await this.#content(slot, type, length, isLast);
    if (!isLast || this.#rules.isEnded()) return undefined;
    this.#checkComplete(slot);
    return slot;
  }

  async #content(
    slot: Slot,
    type: number,
    length: number,
    isLast: boolean,
  ): Promise<void> {
    if (type === CHUNK_NONE) {
      if (length > 0 || !isLast) {
        throw new ProtocolFault("a NONE chunk has content, or is not the last");
      }
    } else if (type === CHUNK_OFFSET_DATA) await this.#data(slot, length);
    else if (type === CHUNK_OFFSET_HOLE) await this.#hole(slot, length);
    else if (
      type === CHUNK_BLOCK_STATUS || type === CHUNK_BLOCK_STATUS_EXT
    ) await this.#status(slot, length, type === CHUNK_BLOCK_STATUS_EXT);
    else if ((type & TYPE_ERROR) !== 0) await this.#error(slot, type, length);
    else throw new ProtocolFault(`a chunk has the unknown type ${type}`);
  }

  /** A chunk with data: u64 offset, data. */
  async #data(slot: Slot, length: number): Promise<void> {
    if (length < 9) throw new ProtocolFault("a chunk has no data");
    await this.#reader.need(8);
    const at = this.#reader.take(8);
    const start = getUint64(this.#reader.view, at);
    const target = this.#range(slot, start, length - 8);
    await this.#fill(target);
  }

  /** A chunk that stands for zeroes: u64 offset, u32 length. */
  async #hole(slot: Slot, length: number): Promise<void> {
    if (length !== 12) throw new ProtocolFault("a hole has a wrong length");
    await this.#reader.need(12);
    const at = this.#reader.take(12);
    const { view } = this.#reader;
    const target = this.#range(
      slot,
      getUint64(view, at),
      view.getUint32(at + 8),
    );
    if (!this.#rules.isEnded()) target.fill(0);
  }

  /** The part of the target that a chunk fills; checks range and overlap. */
  #range(slot: Slot, start: number, length: number): Uint8Array {
    const { offset, target } = slot.command;
    if (target === undefined) {
      throw new ProtocolFault("a reply has data that were not asked for");
    }
    const end = start + length;
    if (length < 1 || start < offset || end > offset + target.length) {
      throw new ProtocolFault("a chunk reaches beyond its request");
    }
    if (!slot.coverage.add(start, end)) {
      throw new ProtocolFault("two chunks of a reply overlap");
    }
    return target.subarray(start - offset, end - offset);
  }

  /**
   * Fills a buffer, but not after the end of the connection: bytes that arrive
   * then are dropped.
   */
  async #fill(target: Uint8Array): Promise<void> {
    const reader = this.#reader;
    let done = 0;
    while (done < target.length) {
      if (reader.available === 0) await reader.need(1);
      const step = Math.min(reader.available, target.length - done);
      const bytes = reader.bytes(step);
      if (this.#rules.isEnded()) return;
      target.set(bytes, done);
      done += step;
    }
  }

  /**
   * Runs of a context: u32 id, then (u32 length, u32 flags) each; with 64-bit
   * numbers u32 id, u32 count, then (u64 length, u64 flags) each.
   */
  async #status(slot: Slot, length: number, isLong: boolean): Promise<void> {
    const reader = this.#reader;
    const { command, runs } = slot.command;
    const [headSize, runSize] = isLong ? [8, 16] : [4, 8];
    const count = (length - headSize) / runSize;
    if (
      command !== COMMAND_BLOCK_STATUS || slot.hasStatus ||
      isLong !== (this.#rules.dialect === "extended") ||
      !Number.isInteger(count) || count < 1 || count > RUNS_MAX
    ) {
      throw new ProtocolFault(
        "a status chunk is malformed or was not asked for",
      );
    }
    await reader.need(headSize);
    const head = reader.take(headSize);
    if (
      reader.view.getUint32(head) !== this.#rules.contextId ||
      (isLong && reader.view.getUint32(head + 4) !== count)
    ) {
      throw new ProtocolFault("a status chunk has a wrong context or count");
    }
    slot.hasStatus = true;
    let total = 0;
    for (let i = 0; i < count; i++) {
      if (reader.available < runSize) await reader.need(runSize);
      const at = reader.take(runSize);
      const { view } = reader;
      const run = isLong
        ? { length: getUint64(view, at), flags: view.getUint32(at + 12) }
        : { length: view.getUint32(at), flags: view.getUint32(at + 4) };
      if (run.length === 0 || total >= slot.command.length) {
        throw new ProtocolFault("a run of a status chunk is out of range");
      }
      total += run.length;
      if (this.#rules.isEnded()) return;
      runs.push(run);
    }
  }

  /**
   * An error: u32 error, u16 length of the text, text; an ERROR_OFFSET chunk
   * has u64 offset after it.
   */
  async #error(slot: Slot, type: number, length: number): Promise<void> {
    if (length < 6 || length > 6 + STRING_SIZE_MAX + 8) {
      throw new ProtocolFault(`an error chunk has ${inBytes(length)}`);
    }
    const bytes = new Uint8Array(length);
    await this.#reader.fill(bytes);
    const view = new DataView(bytes.buffer);
    const errno = view.getUint32(0);
    const textSize = view.getUint16(4);
    const rest = length - 6 - textSize;
    const wanted = type === CHUNK_ERROR_OFFSET ? 8 : 0;
    if (errno === 0 || rest < wanted) {
      throw new ProtocolFault("an error chunk is malformed");
    }
    const text = new TextDecoder().decode(bytes.subarray(6, 6 + textSize));
    slot.failure ??= { errno, text };
  }

  #checkComplete(slot: Slot): void {
    if (slot.failure !== undefined) return;
    const { command, offset, length } = slot.command;
    if (
      command === COMMAND_READ && length > 0 &&
      !slot.coverage.covers(offset, offset + length)
    ) {
      throw new ProtocolFault("a reply to READ leaves bytes out");
    }
    if (command === COMMAND_BLOCK_STATUS && !slot.hasStatus) {
      throw new ProtocolFault("a reply to BLOCK_STATUS has no runs");
    }
  }
}
