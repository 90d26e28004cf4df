/**
 * The handshake, fixed newstyle: greeting, client flags, then options until
 * one of them starts the transmission or ends the connection.
 *
 * Options are a table from number to function. An option that is not in it is
 * refused politely and the negotiation goes on. Source: NBD `doc/proto.md`,
 * sections "Fixed newstyle negotiation" and "Option types".
 *
 * It promises to hold no more than one small buffer whatever the client
 * announces, to answer each option with one send, and never to use a name for
 * anything but a comparison.
 *
 * @module
 */

import { VirstorError } from "../errors.ts";
import {
  type ExportFacts,
  factsOf,
  findExport,
  type NbdExport,
} from "./export.ts";
import { HandshakeReader } from "./handshake_reader.ts";
import { OPTION_DATA_MAX, OPTION_DRAIN_MAX } from "./limits.ts";
import {
  encodeExportName,
  encodeGreeting,
  encodeInfoBlockSize,
  encodeInfoExport,
  encodeInfoText,
  encodeOptionReply,
  encodeServer,
} from "./option_reply.ts";
import {
  CLIENT_FLAGS_KNOWN,
  HANDSHAKE_NO_ZEROES,
  INFO_DESCRIPTION,
  INFO_NAME,
  OPTION_ABORT,
  OPTION_EXPORT_NAME,
  OPTION_GO,
  OPTION_HEADER_SIZE,
  OPTION_INFO,
  OPTION_LIST,
  OPTION_MAGIC_HIGH,
  OPTION_MAGIC_LOW,
  REPLY_ACK,
  REPLY_ERROR_INVALID,
  REPLY_ERROR_TOO_BIG,
  REPLY_ERROR_UNKNOWN,
  REPLY_ERROR_UNSUPPORTED,
  STRING_SIZE_MAX,
} from "./protocol.ts";
import { type ByteStream, writeAll } from "./stream.ts";

/** What a handshake needs to know. */
export interface HandshakeOptions {
  /** All exports; the first is the default one. */
  readonly exports: readonly NbdExport[];
  /** The most options in one handshake. */
  readonly optionsMax: number;
}

/** What a client has chosen. */
export interface Negotiated {
  /** The export. */
  readonly served: NbdExport;
  /** What was told to the client of it. */
  readonly facts: ExportFacts;
  /** Bytes that came after the handshake. */
  readonly early: Uint8Array;
}

/** An option as it arrived, and what is needed to answer it. */
interface Option {
  readonly number: number;
  readonly data: Uint8Array;
  readonly exports: readonly NbdExport[];
  readonly zeroes: boolean;
}

/** The answer to an option, and what happens then. */
interface Answer {
  readonly messages: readonly Uint8Array[];
  readonly then?: "end" | NbdExport;
}

const OPTIONS: ReadonlyMap<number, (option: Option) => Answer> = new Map([
  [OPTION_EXPORT_NAME, answerExportName],
  [OPTION_ABORT, answerAbort],
  [OPTION_LIST, answerList],
  [OPTION_INFO, answerInfo],
  [OPTION_GO, answerInfo],
]);

const DECODER = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Negotiates with a client.
 *
 * @param stream The connection, fresh.
 * @param options What there is to negotiate about.
 * @returns What the client chose, or `undefined` if it ended the negotiation.
 * @throws {VirstorError} With code `invalid` if the client breaks the protocol
 *   so that there is no answer, `not-found` if it names an unknown export where
 *   there is no answer, `cancelled` if it leaves.
 */
export async function negotiate(
  stream: ByteStream,
  options: HandshakeOptions,
): Promise<Negotiated | undefined> {
  const { exports, optionsMax } = options;
  const reader = new HandshakeReader(
    stream,
    OPTION_HEADER_SIZE + OPTION_DATA_MAX,
  );
  await writeAll(stream, encodeGreeting());
  const clientFlags = viewOf(await reader.take(4)).getUint32(0);
  if ((clientFlags & ~CLIENT_FLAGS_KNOWN) !== 0) {
    throw violation(`client flags are ${hex(clientFlags)}, only bits 0 and 1 \
are known`);
  }
  const zeroes = (clientFlags & HANDSHAKE_NO_ZEROES) === 0;
  for (let count = 0; count < optionsMax; count++) {
    const { number, length } = await takeOptionHeader(reader);
    let answer: Answer;
    if (length > OPTION_DATA_MAX) {
      answer = await refuseTooBig(reader, number, length);
    } else {
      const data = await reader.take(length);
      const answerOption = OPTIONS.get(number) ?? answerUnknown;
      answer = answerOption({ number, data, exports, zeroes });
    }
    const sent = writeAll(stream, joined(answer.messages));
    if (answer.then === "end") {
      // A client that says goodbye need not stay for the answer.
      await sent.catch(() => {});
      return undefined;
    }
    await sent;
    if (answer.then !== undefined) {
      const served = answer.then;
      return { served, facts: factsOf(served), early: reader.rest() };
    }
  }
  throw violation(`more than ${optionsMax} options were sent`);
}

async function takeOptionHeader(
  reader: HandshakeReader,
): Promise<{ number: number; length: number }> {
  const view = viewOf(await reader.take(OPTION_HEADER_SIZE));
  if (
    view.getUint32(0) !== OPTION_MAGIC_HIGH ||
    view.getUint32(4) !== OPTION_MAGIC_LOW
  ) {
    throw violation(`an option starts with ${hex(view.getUint32(0))}, not \
with IHAVEOPT`);
  }
  return { number: view.getUint32(8), length: view.getUint32(12) };
}

async function refuseTooBig(
  reader: HandshakeReader,
  number: number,
  length: number,
): Promise<Answer> {
  // EXPORT_NAME has no error reply, so there is nothing to stay in sync for.
  if (length > OPTION_DRAIN_MAX || number === OPTION_EXPORT_NAME) {
    throw violation(`option ${number} announces ${length} bytes, at most \
${OPTION_DATA_MAX} are taken`);
  }
  await reader.skip(length);
  return refusal(
    number,
    REPLY_ERROR_TOO_BIG,
    `Option data is ${length} bytes, at most ${OPTION_DATA_MAX} are taken`,
  );
}

function answerExportName(option: Option): Answer {
  const name = nameFrom(option.data);
  const served = name === undefined
    ? undefined
    : findExport(option.exports, name);
  if (served === undefined) {
    throw new VirstorError(
      "not-found",
      "The client asked for an unknown export",
    );
  }
  return {
    messages: [encodeExportName(factsOf(served), option.zeroes)],
    then: served,
  };
}

function answerAbort(option: Option): Answer {
  return {
    messages: [encodeOptionReply(option.number, REPLY_ACK)],
    then: "end",
  };
}

function answerList(option: Option): Answer {
  if (option.data.length !== 0) {
    return refusal(
      option.number,
      REPLY_ERROR_INVALID,
      "LIST takes no data",
    );
  }
  const messages = option.exports.map((served) =>
    encodeServer(option.number, served)
  );
  messages.push(encodeOptionReply(option.number, REPLY_ACK));
  return { messages };
}

/** INFO and GO: u32 name length, name, u16 count, count x u16 type. */
function answerInfo(option: Option): Answer {
  const { number, data, exports } = option;
  const view = viewOf(data);
  const nameLength = data.length < 6 ? Infinity : view.getUint32(0);
  const typeCount = nameLength > data.length - 6
    ? NaN
    : view.getUint16(4 + nameLength);
  const name = data.length === 6 + nameLength + 2 * typeCount
    ? nameFrom(data.subarray(4, 4 + nameLength))
    : undefined;
  if (name === undefined) {
    return refusal(
      number,
      REPLY_ERROR_INVALID,
      "The export name or the lengths inside the option make no sense",
    );
  }
  const served = findExport(exports, name);
  if (served === undefined) {
    return refusal(
      number,
      REPLY_ERROR_UNKNOWN,
      "There is no export of this name, ask for a list",
    );
  }
  const facts = factsOf(served);
  // Block sizes are told to everybody: who did not ask may ignore them.
  const messages = [
    encodeInfoExport(number, facts),
    encodeInfoBlockSize(number, facts),
  ];
  const types = new Set<number>();
  for (let at = 6 + nameLength; at < data.length; at += 2) {
    types.add(view.getUint16(at));
  }
  if (types.has(INFO_NAME)) {
    messages.push(encodeInfoText(number, INFO_NAME, served.name));
  }
  if (types.has(INFO_DESCRIPTION)) {
    messages.push(
      encodeInfoText(number, INFO_DESCRIPTION, served.description),
    );
  }
  messages.push(encodeOptionReply(number, REPLY_ACK));
  return number === OPTION_GO ? { messages, then: served } : { messages };
}

function answerUnknown(option: Option): Answer {
  return refusal(
    option.number,
    REPLY_ERROR_UNSUPPORTED,
    "Option is not supported",
  );
}

function refusal(option: number, type: number, text: string): Answer {
  return { messages: [encodeOptionReply(option, type, text)] };
}

/** The name in some bytes, or `undefined` if the protocol forbids it. */
function nameFrom(bytes: Uint8Array): string | undefined {
  if (bytes.length > STRING_SIZE_MAX || bytes.includes(0)) return undefined;
  try {
    return DECODER.decode(bytes);
  } catch {
    return undefined; // Not UTF-8.
  }
}

function joined(messages: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const message of messages) length += message.length;
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const message of messages) {
    bytes.set(message, at);
    at += message.length;
  }
  return bytes;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function violation(what: string): VirstorError {
  return new VirstorError("invalid", `Cannot negotiate: ${what}`);
}

function hex(value: number): string {
  return `0x${(value >>> 0).toString(16)}`;
}
