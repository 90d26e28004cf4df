/**
 * Judges the first phase of a transcript: reads what was sent with the rules
 * of the protocol and of `docs/nbd.md` in mind, and checks that each answer is
 * the right one.
 *
 * @module
 */

import { type Dialect, NBD } from "../helpers/nbd_messages.ts";
import { check, type Cursor } from "./cursor.ts";
import { EXPORTS, HOSTILE, OPTIONS_MAX } from "./world.ts";

/** What the second phase starts with. */
export interface Agreement {
  /** How both talk. */
  readonly dialect: Dialect;
  /** The export. */
  readonly exportName: string;
  /** Transmission flags. */
  readonly flags: number;
  /** The ids of the selected contexts. */
  readonly contexts: readonly number[];
}

/** The longest data of an option that is looked at, and that is read. */
const DATA_MAX = 16 * 1024;
const DRAIN_MAX = 1024 * 1024;
const STRING_MAX = 4096;
const OPTION_STARTTLS = 5;
const DECODER = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** An answer that is not what was asked for. */
type Refusal = { readonly error: number };
/** What becomes of an option. */
type Outcome = "closed" | "go" | "next";

/** Judges a handshake. */
export class HandshakeJudge {
  readonly #sent: Cursor;
  readonly #received: Cursor;
  #zeroes = false;
  #dialect: Dialect = "simple";
  #selection: { name: string; ids: number[] } | undefined = undefined;
  #agreement: Agreement | undefined = undefined;

  /**
   * Creates a judge.
   *
   * @param sent What was sent, from the first byte.
   * @param received What came back, from the first byte.
   */
  constructor(sent: Cursor, received: Cursor) {
    this.#sent = sent;
    this.#received = received;
  }

  /**
   * Judges.
   *
   * @returns What was agreed on; nothing if the connection ends here.
   * @throws {EndOfBytes} If an answer is missing.
   * @throws {Error} If an answer is wrong.
   */
  judge(): Agreement | undefined {
    const greeting = this.#received.view(18);
    check(
      greeting.getBigUint64(0) === 0x4e42444d41474943n &&
        greeting.getBigUint64(8) === 0x49484156454f5054n &&
        greeting.getUint16(16) === 3,
      "the greeting is another",
    );
    if (this.#sent.left < 4) return undefined;
    const clientFlags = this.#sent.view(4).getUint32(0);
    if ((clientFlags & ~3) !== 0) return undefined;
    this.#zeroes = (clientFlags & 2) === 0;
    for (let count = 0; count < OPTIONS_MAX; count++) {
      if (this.#sent.left < 16) return undefined;
      const outcome = this.#judgeOption(this.#sent.view(16));
      if (outcome === "closed") return undefined;
      if (outcome === "go") return this.#agreement;
    }
    return undefined;
  }

  #judgeOption(header: DataView): Outcome {
    if (header.getBigUint64(0) !== 0x49484156454f5054n) return "closed";
    const option = header.getUint32(8);
    const length = header.getUint32(12);
    const isName = option === NBD.OPT_EXPORT_NAME;
    if (length > DRAIN_MAX || (isName && length > DATA_MAX)) return "closed";
    if (length > this.#sent.left) return "closed";
    const data = this.#sent.take(length);
    if (isName) return this.#judgeExportName(data);
    const answer = this.#expect(option, data);
    if (answer !== undefined) {
      const { type } = this.#reply(option);
      const known = option !== OPTION_STARTTLS;
      check(
        known ? type === answer.error : type > 0x80000000,
        `option ${option} is answered with ${type}, not ${answer.error}`,
      );
      return "next";
    }
    return this.#judgeSuccess(option, data);
  }

  /** How an option is refused, or nothing if it is not. */
  #expect(option: number, data: Uint8Array): Refusal | undefined {
    const { length } = data;
    const invalid = { error: NBD.REP_ERR_INVALID };
    switch (option) {
      case NBD.OPT_ABORT:
        return undefined;
      case NBD.OPT_LIST:
      case NBD.OPT_EXTENDED_HEADERS:
        return length > 0 ? invalid : undefined;
      case NBD.OPT_STRUCTURED_REPLY:
        if (length > 0) return invalid;
        return this.#dialect === "extended"
          ? { error: NBD.REP_ERR_EXT_HEADER_REQD }
          : undefined;
      case NBD.OPT_INFO:
      case NBD.OPT_GO:
        if (length > DATA_MAX) return { error: NBD.REP_ERR_TOO_BIG };
        return refusalOfName(infoName(data));
      case NBD.OPT_SET_META_CONTEXT:
      case NBD.OPT_LIST_META_CONTEXT:
        if (option === NBD.OPT_SET_META_CONTEXT) this.#selection = undefined;
        if (length > DATA_MAX) return { error: NBD.REP_ERR_TOO_BIG };
        if (this.#dialect === "simple") return invalid;
        return refusalOfName(contextName(data));
      default:
        return { error: NBD.REP_ERR_UNSUP };
    }
  }

  #judgeSuccess(option: number, data: Uint8Array): Outcome {
    const ids: number[] = [];
    let flags = 0;
    for (;;) {
      const reply = this.#reply(option);
      if (reply.type === NBD.REP_ACK) break;
      check(reply.type < 0x80000000, `option ${option} is refused`);
      if (reply.type === NBD.REP_META_CONTEXT) ids.push(reply.first);
      if (reply.flags !== undefined) flags = reply.flags;
    }
    const name = option === NBD.OPT_GO ? infoName(data) : contextName(data);
    if (option === NBD.OPT_ABORT) return "closed";
    if (option === NBD.OPT_STRUCTURED_REPLY) this.#dialect = "structured";
    if (option === NBD.OPT_EXTENDED_HEADERS) this.#dialect = "extended";
    if (option === NBD.OPT_SET_META_CONTEXT && name !== undefined) {
      this.#selection = { name, ids };
    }
    if (option !== NBD.OPT_GO || name === undefined) return "next";
    this.#agree(name, flags);
    return "go";
  }

  #judgeExportName(data: Uint8Array): Outcome {
    const name = stringOf(data);
    if (this.#dialect === "extended" || name === undefined) return "closed";
    if (name !== "" && !EXPORTS.has(name)) return "closed";
    const answer = this.#received.view(this.#zeroes ? 134 : 10);
    this.#agree(name, answer.getUint16(8));
    return "go";
  }

  #agree(name: string, flags: number): void {
    const selection = this.#selection;
    this.#agreement = {
      dialect: this.#dialect,
      exportName: name === "" ? HOSTILE : name,
      flags,
      contexts: selection?.name === name ? selection.ids : [],
    };
  }

  /** Takes a reply to an option. */
  #reply(option: number): { type: number; first: number; flags?: number } {
    const header = this.#received.view(20);
    check(header.getBigUint64(0) === 0x3e889045565a9n, "a reply's magic");
    check(header.getUint32(8) === option, "a reply to another option");
    const type = header.getUint32(12);
    const length = header.getUint32(16);
    check(length <= STRING_MAX + 8 + STRING_MAX, "a reply is too long");
    const data = this.#received.view(length);
    if (type > 0x80000000) check(length <= STRING_MAX, "a text is too long");
    const first = length >= 4 ? data.getUint32(0) : 0;
    const isExport = type === NBD.REP_INFO && length === 12 &&
      data.getUint16(0) === NBD.INFO_EXPORT;
    return isExport
      ? { type, first, flags: data.getUint16(10) }
      : { type, first };
  }
}

function refusalOfName(name: string | undefined): Refusal | undefined {
  if (name === undefined) return { error: NBD.REP_ERR_INVALID };
  return name === "" || EXPORTS.has(name)
    ? undefined
    : { error: NBD.REP_ERR_UNKNOWN };
}

/** The name in INFO and GO; nothing if the data makes no sense. */
function infoName(data: Uint8Array): string | undefined {
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  if (data.length < 6 || view.getUint32(0) > data.length - 6) return undefined;
  const end = 4 + view.getUint32(0);
  if (data.length !== end + 2 + 2 * view.getUint16(end)) return undefined;
  return stringOf(data.subarray(4, end));
}

/** The name in a query for contexts; nothing if the data makes no sense. */
function contextName(data: Uint8Array): string | undefined {
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  if (data.length < 8 || view.getUint32(0) > data.length - 8) return undefined;
  const end = 4 + view.getUint32(0);
  let at = end + 4;
  for (let count = view.getUint32(end); count > 0; count--) {
    if (at + 4 > data.length) return undefined;
    const next = at + 4 + view.getUint32(at);
    if (next > data.length) return undefined;
    if (stringOf(data.subarray(at + 4, next)) === undefined) return undefined;
    at = next;
  }
  return at === data.length ? stringOf(data.subarray(4, end)) : undefined;
}

function stringOf(bytes: Uint8Array): string | undefined {
  if (bytes.length > STRING_MAX || bytes.includes(0)) return undefined;
  try {
    return DECODER.decode(bytes);
  } catch {
    return undefined;
  }
}
