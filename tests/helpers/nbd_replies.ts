/**
 * Reads the replies of an NBD server in any dialect, joins those in chunks, and
 * fails if a reply breaks a rule of the protocol: chunks cover the request once
 * and completely, no chunk lies outside it, and the last chunk, and only that
 * one, is marked as the last.
 *
 * @module
 */

import {
  type Dialect,
  NBD,
  type RawReply,
  type RawRequest,
  type ReplyChunk,
} from "./nbd_messages.ts";

/** A request whose answer is not complete. */
interface Pending {
  readonly request: RawRequest;
  readonly reply: RawReply;
}

/** The header of a chunk. */
interface Header {
  readonly flags: number;
  readonly type: number;
  readonly cookie: bigint;
  readonly length: number;
}

const SIMPLE_MAGIC = 0x67446698;
const STRUCTURED_MAGIC = 0x668e33ef;
const EXTENDED_MAGIC = 0x6e8a278c;
const DECODER = new TextDecoder("utf-8", { fatal: true });

/** Reads replies. */
export class ReplyReader {
  /** How they look. */
  dialect: Dialect = "simple";
  readonly #receiveRaw: (length: number) => Promise<Uint8Array>;
  readonly #pending = new Map<bigint, Pending>();

  /**
   * Creates a reader.
   *
   * @param receiveRaw Receives so many bytes.
   */
  constructor(receiveRaw: (length: number) => Promise<Uint8Array>) {
    this.#receiveRaw = receiveRaw;
  }

  /**
   * Tells of a request that will be answered.
   *
   * @param cookie Its cookie.
   * @param request The request.
   */
  expect(cookie: bigint, request: RawRequest): void {
    if (request.command === NBD.CMD_DISC) return;
    this.#pending.set(cookie, { request, reply: emptyReply(cookie, 0) });
  }

  /**
   * Receives until a reply is complete.
   *
   * @returns The reply.
   */
  async receive(): Promise<RawReply> {
    for (;;) {
      const start = viewOf(await this.#receiveRaw(16));
      const magic = start.getUint32(0);
      if (magic === SIMPLE_MAGIC) return await this.#receiveSimple(start);
      const expected = this.dialect === "extended"
        ? EXTENDED_MAGIC
        : STRUCTURED_MAGIC;
      check(
        this.dialect !== "simple" && magic === expected,
        `reply magic is ${magic.toString(16)}`,
      );
      const reply = await this.#receiveChunk(start);
      if (reply !== undefined) return reply;
    }
  }

  async #receiveSimple(header: DataView): Promise<RawReply> {
    const errno = header.getUint32(4);
    const cookie = header.getBigUint64(8);
    const pending = this.#pending.get(cookie);
    this.#pending.delete(cookie);
    const isRead = pending?.request.command === NBD.CMD_READ;
    check(this.dialect !== "extended", "a simple reply, headers are extended");
    check(this.dialect === "simple" || !isRead, "a simple reply to a READ");
    check(
      this.dialect === "simple" || errno === 0,
      "an error that is not in a chunk",
    );
    const reply = emptyReply(cookie, errno);
    const length = Number(pending?.request.length ?? 0);
    if (isRead && errno === 0) reply.payload = await this.#receiveRaw(length);
    return reply;
  }

  /** @returns The reply, if this chunk has completed it. */
  async #receiveChunk(start: DataView): Promise<RawReply | undefined> {
    const flags = start.getUint16(4);
    const type = start.getUint16(6);
    const cookie = start.getBigUint64(8);
    const pending = this.#pending.get(cookie);
    check(pending !== undefined, `a chunk for ${cookie}, which is not open`);
    let length: number;
    if (this.dialect === "extended") {
      const rest = viewOf(await this.#receiveRaw(16));
      const offset = BigInt(pending.request.offset ?? 0);
      check(rest.getBigUint64(0) === offset, "the request's offset is another");
      length = Number(rest.getBigUint64(8));
    } else {
      length = viewOf(await this.#receiveRaw(4)).getUint32(0);
    }
    check(length <= 32 * 1024 * 1024 + 8, `a chunk of ${length} bytes`);
    const payload = await this.#receiveRaw(length);
    const header: Header = { flags, type, cookie, length };
    const chunk = takeChunk(pending, header, payload, this.dialect);
    pending.reply.chunks.push(chunk);
    check((flags & ~NBD.REPLY_FLAG_DONE) === 0, `chunk flags are ${flags}`);
    if ((flags & NBD.REPLY_FLAG_DONE) === 0) return undefined;
    this.#pending.delete(cookie);
    checkComplete(pending);
    return pending.reply;
  }
}

function takeChunk(
  pending: Pending,
  header: Header,
  payload: Uint8Array,
  dialect: Dialect,
): ReplyChunk {
  const { type, length, flags } = header;
  switch (type) {
    case NBD.REPLY_TYPE_NONE:
      check(length === 0, "a NONE chunk has a payload");
      check(flags === NBD.REPLY_FLAG_DONE, "a NONE chunk is not the last");
      return { type, offset: undefined, length };
    case NBD.REPLY_TYPE_OFFSET_DATA:
      check(length >= 9, "a data chunk has no data");
      return takeContent(pending, type, payload, length - 8);
    case NBD.REPLY_TYPE_OFFSET_HOLE: {
      check(length === 12, "a hole chunk has not 12 bytes");
      const size = viewOf(payload).getUint32(8);
      check(size > 0, "a hole chunk of nothing");
      return takeContent(pending, type, payload, size);
    }
    case NBD.REPLY_TYPE_BLOCK_STATUS:
    case NBD.REPLY_TYPE_BLOCK_STATUS_EXT:
      check(
        (type === NBD.REPLY_TYPE_BLOCK_STATUS_EXT) === (dialect === "extended"),
        `a status chunk of type ${type}`,
      );
      return takeStatus(pending, type, payload);
    case NBD.REPLY_TYPE_ERROR:
    case NBD.REPLY_TYPE_ERROR_OFFSET:
      return takeError(pending, type, payload);
    default:
      throw new Error(`The chunk type ${type} is not known`);
  }
}

function takeContent(
  { request, reply }: Pending,
  type: number,
  payload: Uint8Array,
  size: number,
): ReplyChunk {
  check(request.command === NBD.CMD_READ, "content that was not asked for");
  const length = Number(request.length ?? 0);
  const offset = Number(viewOf(payload).getBigUint64(0));
  const at = offset - Number(request.offset ?? 0);
  check(at >= 0 && at + size <= length, "content outside the request");
  const content = reply.chunks.filter(isContent);
  check(
    content.every((chunk) =>
      (chunk.offset ?? 0) >= offset + size ||
      (chunk.offset ?? 0) + chunk.length <= offset
    ),
    "chunks overlap",
  );
  const whole = ((request.flags ?? 0) & NBD.CMD_FLAG_DF) !== 0;
  check(!whole || content.length === 0, "a read with DF is fragmented");
  if (reply.payload.length === 0) reply.payload = new Uint8Array(length);
  // Zeroes are there: no chunk overlaps another one.
  if (type === NBD.REPLY_TYPE_OFFSET_DATA) {
    reply.payload.set(payload.subarray(8), at);
  }
  return { type, offset, length: size };
}

function takeStatus(
  { request, reply }: Pending,
  type: number,
  payload: Uint8Array,
): ReplyChunk {
  const { command, flags = 0 } = request;
  const wide = type === NBD.REPLY_TYPE_BLOCK_STATUS_EXT;
  const [headerSize, runSize] = wide ? [8, 16] : [4, 8];
  const count = (payload.length - headerSize) / runSize;
  check(command === NBD.CMD_BLOCK_STATUS, "a status that was not asked for");
  check(Number.isInteger(count) && count >= 1, "a status chunk is torn");
  const view = viewOf(payload);
  if (wide) check(view.getUint32(4) === count, "the count of runs is wrong");
  const id = view.getUint32(0);
  check(!reply.status.has(id), `two chunks for context ${id}`);
  const runs: [length: number, flags: number][] = [];
  for (let i = 0; i < count; i++) {
    const at = headerSize + i * runSize;
    runs.push(
      wide
        ? [Number(view.getBigUint64(at)), Number(view.getBigUint64(at + 8))]
        : [view.getUint32(at), view.getUint32(at + 4)],
    );
  }
  const sum = runs.reduce((sum, [length]) => sum + length, 0);
  const asked = Number(
    request.payload === undefined
      ? request.length ?? 0
      : viewOf(request.payload).getBigUint64(0),
  );
  check(runs.every(([length]) => length > 0), "a run of nothing");
  check(sum <= asked, `runs of ${sum} bytes for ${asked}`);
  check(
    runs.every(([, flags], i) => i === 0 || flags !== runs[i - 1]?.[1]),
    "two runs of one status are next to each other",
  );
  check(
    (flags & NBD.CMD_FLAG_REQ_ONE) === 0 || count === 1,
    "REQ_ONE, and more than one run",
  );
  reply.status.set(id, runs);
  return { type, offset: undefined, length: payload.length };
}

function takeError(
  { request, reply }: Pending,
  type: number,
  payload: Uint8Array,
): ReplyChunk {
  const withOffset = type === NBD.REPLY_TYPE_ERROR_OFFSET;
  const view = viewOf(payload);
  const errno = view.getUint32(0);
  const textLength = view.getUint16(4);
  check(errno !== 0, "an error of 0");
  check(textLength <= 4096, `an error text of ${textLength} bytes`);
  check(
    payload.length === 6 + textLength + (withOffset ? 8 : 0),
    "the lengths in an error chunk disagree",
  );
  reply.text = DECODER.decode(payload.subarray(6, 6 + textLength));
  check(!/\p{Cc}/u.test(reply.text), "control characters in an error text");
  reply.errno = errno;
  const offset = withOffset
    ? Number(view.getBigUint64(6 + textLength))
    : undefined;
  const start = Number(request.offset ?? 0);
  const end = start + Number(request.length ?? 0);
  check(
    offset === undefined || (offset >= start && offset < end),
    "an error outside the request",
  );
  return { type, offset, length: payload.length };
}

function checkComplete({ request, reply }: Pending): void {
  if (reply.errno !== 0) {
    reply.payload = new Uint8Array();
    return;
  }
  if (request.command === NBD.CMD_READ) {
    const content = reply.chunks.filter(isContent);
    const covered = content.reduce((sum, { length }) => sum + length, 0);
    check(
      covered === Number(request.length ?? 0),
      `${covered} of ${request.length} bytes were answered`,
    );
  } else if (request.command === NBD.CMD_BLOCK_STATUS) {
    check(reply.status.size > 0, "success without a status");
  }
}

function isContent({ type }: ReplyChunk): boolean {
  return type === NBD.REPLY_TYPE_OFFSET_DATA ||
    type === NBD.REPLY_TYPE_OFFSET_HOLE;
}

function emptyReply(cookie: bigint, errno: number): RawReply {
  return {
    errno,
    cookie,
    payload: new Uint8Array(),
    chunks: [],
    text: "",
    status: new Map(),
  };
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function check(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(`The server broke the protocol: ${what}`);
}
