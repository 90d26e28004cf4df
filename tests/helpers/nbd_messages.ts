/**
 * Messages of the NBD protocol for a test client. It has its own numbers, so
 * that it takes nothing over from the server under test.
 *
 * @module
 */

/** Numbers of the protocol, under the protocol's own names. */
export const NBD = {
  OPT_EXPORT_NAME: 1,
  OPT_ABORT: 2,
  OPT_LIST: 3,
  OPT_STARTTLS: 5,
  OPT_INFO: 6,
  OPT_GO: 7,
  OPT_STRUCTURED_REPLY: 8,
  OPT_LIST_META_CONTEXT: 9,
  OPT_SET_META_CONTEXT: 10,
  OPT_EXTENDED_HEADERS: 11,
  REP_ACK: 1,
  REP_SERVER: 2,
  REP_INFO: 3,
  REP_META_CONTEXT: 4,
  REP_ERR_UNSUP: 0x80000001,
  REP_ERR_POLICY: 0x80000002,
  REP_ERR_INVALID: 0x80000003,
  REP_ERR_TLS_REQD: 0x80000005,
  REP_ERR_UNKNOWN: 0x80000006,
  REP_ERR_SHUTDOWN: 0x80000007,
  REP_ERR_TOO_BIG: 0x80000009,
  REP_ERR_EXT_HEADER_REQD: 0x8000000a,
  INFO_EXPORT: 0,
  INFO_NAME: 1,
  INFO_DESCRIPTION: 2,
  INFO_BLOCK_SIZE: 3,
  CMD_READ: 0,
  CMD_WRITE: 1,
  CMD_DISC: 2,
  CMD_FLUSH: 3,
  CMD_TRIM: 4,
  CMD_CACHE: 5,
  CMD_WRITE_ZEROES: 6,
  CMD_BLOCK_STATUS: 7,
  CMD_FLAG_FUA: 1,
  CMD_FLAG_NO_HOLE: 2,
  CMD_FLAG_DF: 4,
  CMD_FLAG_REQ_ONE: 8,
  CMD_FLAG_FAST_ZERO: 16,
  CMD_FLAG_PAYLOAD_LEN: 32,
  FLAG_ROTATIONAL: 1 << 4,
  FLAG_SEND_DF: 1 << 7,
  FLAG_BLOCK_STAT_PAYLOAD: 1 << 12,
  REPLY_FLAG_DONE: 1,
  REPLY_TYPE_NONE: 0,
  REPLY_TYPE_OFFSET_DATA: 1,
  REPLY_TYPE_OFFSET_HOLE: 2,
  REPLY_TYPE_BLOCK_STATUS: 5,
  REPLY_TYPE_BLOCK_STATUS_EXT: 6,
  REPLY_TYPE_ERROR: 0x8001,
  REPLY_TYPE_ERROR_OFFSET: 0x8002,
  STATE_HOLE: 1,
  STATE_ZERO: 2,
  EPERM: 1,
  EIO: 5,
  EINVAL: 22,
  ENOSPC: 28,
  EOVERFLOW: 75,
  ENOTSUP: 95,
  ESHUTDOWN: 108,
} as const;

/** Where a server listens. */
export type NbdAddress = { path: string } | { port: number };

/** How requests and replies look. */
export type Dialect = "simple" | "structured" | "extended";

/** A request, in any shape. */
export interface RawRequest {
  /** `NBD.CMD_...`, or any number of 16 bits. */
  command: number;
  /** Command flags. 0 by default. */
  flags?: number;
  /** The first byte. 0 by default. */
  offset?: number | bigint;
  /** Bytes. The length of `payload` by default. */
  length?: number | bigint;
  /** What follows the header. Nothing by default. */
  payload?: Uint8Array;
  /** What the reply has to carry. The next free number by default. */
  cookie?: bigint;
}

/** A reply, all of it. */
export interface RawReply {
  /** 0 or an error value. */
  errno: number;
  /** The request's. */
  cookie: bigint;
  /** What a READ gave. */
  payload: Uint8Array;
  /** What it came in; empty if it was a simple reply. */
  chunks: ReplyChunk[];
  /** What was said of the error. */
  text: string;
  /** What a BLOCK_STATUS gave: runs of `[length, flags]` by context id. */
  status: Map<number, [length: number, flags: number][]>;
}

/** A chunk of a reply. */
export interface ReplyChunk {
  /** `NBD.REPLY_TYPE_...`. */
  type: number;
  /** Where on the disk, where the type tells. */
  offset: number | undefined;
  /** Bytes of data or of a hole, or of the payload of any other type. */
  length: number;
}

/** A reply to an option. */
export interface OptionReply {
  /** The option it answers. */
  option: number;
  /** `NBD.REP_...`. */
  type: number;
  /** What came with it. */
  data: Uint8Array;
}

/** What an export is, as EXPORT_NAME, INFO and GO tell. */
export interface ExportInfo {
  /** Bytes. */
  size: bigint;
  /** Transmission flags. */
  flags: number;
  /** `[minimum, preferred, maximum]`, if sent. */
  blockSizes: number[] | undefined;
  /** Its own name, if sent. */
  name: string | undefined;
  /** In words, if sent. */
  description: string | undefined;
}

/**
 * Bytes of a compact request.
 *
 * @param request The request; its cookie is 0 by default.
 * @param magic The magic number, for tests that send a wrong one.
 * @returns Header and payload.
 */
export function encodeRequest(
  request: RawRequest,
  magic = 0x25609513,
): Uint8Array {
  const payload = request.payload ?? new Uint8Array();
  const bytes = new Uint8Array(28 + payload.length);
  const view = new DataView(bytes.buffer);
  encodeStart(view, request, magic);
  view.setUint32(24, Number(request.length ?? payload.length));
  bytes.set(payload, 28);
  return bytes;
}

/**
 * Bytes of an extended request.
 *
 * @param request The request; its cookie is 0 by default, its flags are sent
 *   as they are.
 * @param magic The magic number, for tests that send a wrong one.
 * @returns Header and payload.
 */
export function encodeExtendedRequest(
  request: RawRequest,
  magic = 0x21e41c71,
): Uint8Array {
  const payload = request.payload ?? new Uint8Array();
  const bytes = new Uint8Array(32 + payload.length);
  const view = new DataView(bytes.buffer);
  encodeStart(view, request, magic);
  view.setBigUint64(24, BigInt(request.length ?? payload.length));
  bytes.set(payload, 32);
  return bytes;
}

function encodeStart(view: DataView, request: RawRequest, magic: number): void {
  view.setUint32(0, magic);
  view.setUint16(4, request.flags ?? 0);
  view.setUint16(6, request.command);
  view.setBigUint64(8, request.cookie ?? 0n);
  view.setBigUint64(16, BigInt(request.offset ?? 0));
}

/**
 * Bytes of an option.
 *
 * @param option Its number.
 * @param data What belongs to it.
 * @param length What is announced; the length of `data` by default.
 * @returns Header and data.
 */
export function encodeOption(
  option: number,
  data: Uint8Array = new Uint8Array(),
  length: number = data.length,
): Uint8Array {
  const bytes = new Uint8Array(16 + data.length);
  const view = new DataView(bytes.buffer);
  bytes.set(new TextEncoder().encode("IHAVEOPT"));
  view.setUint32(8, option);
  view.setUint32(12, length);
  bytes.set(data, 16);
  return bytes;
}

/**
 * Data of INFO and GO.
 *
 * @param name The export's name.
 * @param types Which information is asked for.
 * @returns The data.
 */
export function encodeInfoData(
  name: string,
  types: number[] = [],
): Uint8Array {
  const text = new TextEncoder().encode(name);
  const data = new Uint8Array(6 + text.length + 2 * types.length);
  const view = new DataView(data.buffer);
  view.setUint32(0, text.length);
  data.set(text, 4);
  view.setUint16(4 + text.length, types.length);
  types.forEach((type, i) => view.setUint16(6 + text.length + 2 * i, type));
  return data;
}

/**
 * Data of LIST_META_CONTEXT and SET_META_CONTEXT.
 *
 * @param name The export's name.
 * @param queries What is asked for.
 * @returns The data.
 */
export function encodeContextQuery(
  name: string,
  queries: readonly string[],
): Uint8Array {
  const texts = [name, ...queries].map((text) =>
    new TextEncoder().encode(text)
  );
  const size = texts.reduce((sum, { length }) => sum + 4 + length, 4);
  const data = new Uint8Array(size);
  const view = new DataView(data.buffer);
  let at = 0;
  for (const [i, text] of texts.entries()) {
    view.setUint32(at, text.length);
    data.set(text, at + 4);
    at += 4 + text.length;
    if (i > 0) continue;
    view.setUint32(at, queries.length);
    at += 4;
  }
  return data;
}

/**
 * Payload of a BLOCK_STATUS that says which contexts it is about.
 *
 * @param length Bytes of the range.
 * @param ids The contexts.
 * @returns The payload.
 */
export function encodeStatusFilter(
  length: number | bigint,
  ids: readonly number[],
): Uint8Array {
  const payload = new Uint8Array(8 + 4 * ids.length);
  const view = new DataView(payload.buffer);
  view.setBigUint64(0, BigInt(length));
  ids.forEach((id, i) => view.setUint32(8 + 4 * i, id));
  return payload;
}
