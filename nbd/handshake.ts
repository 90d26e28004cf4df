/**
 * The handshake, fixed newstyle: greeting, client flags, then options until
 * one of them starts the transmission or ends the connection.
 *
 * Source: NBD `doc/proto.md`, sections "Fixed newstyle negotiation" and
 * "Termination of the session during option haggling".
 *
 * It promises to hold no more than one small buffer whatever the client
 * announces, to answer each option with one send, and never to use a name for
 * anything but a comparison.
 *
 * @module
 */

import { VirstorError } from "../errors.ts";
import { assertExport, type NbdExport } from "./export.ts";
import { HandshakeReader } from "./handshake_reader.ts";
import { OPTION_DATA_MAX, OPTION_DRAIN_MAX } from "./limits.ts";
import {
  type Answer,
  answerOption,
  type Choice,
  type Option,
  refusal,
  type Session,
} from "./option_answers.ts";
import { encodeGreeting } from "./option_reply.ts";
import {
  CLIENT_FLAGS_KNOWN,
  HANDSHAKE_NO_ZEROES,
  OPTION_ABORT,
  OPTION_EXPORT_NAME,
  OPTION_HEADER_SIZE,
  OPTION_MAGIC_HIGH,
  OPTION_MAGIC_LOW,
  REPLY_ERROR_SHUTDOWN,
} from "./protocol.ts";
import { type ByteStream, writeAll } from "./stream.ts";

/** What a handshake needs to know. */
export interface HandshakeOptions {
  /** All exports; the first is the default one. */
  readonly exports: readonly NbdExport[];
  /** The most options in one handshake. */
  readonly optionsMax: number;
  /** Whether the server is stopping now; then options are refused. */
  readonly isStopping: () => boolean;
}

/** What a client has chosen. */
export interface Negotiated extends Choice {
  /** Bytes that came after the handshake. */
  readonly early: Uint8Array;
}

/**
 * Negotiates with a client.
 *
 * @param stream The connection, fresh.
 * @param options What there is to negotiate about.
 * @returns What the client chose, or `undefined` if it ended the negotiation.
 * @throws {VirstorError} With code `invalid` if the client breaks the protocol
 *   so that there is no answer, `not-found` if it names an unknown export where
 *   there is no answer, `shutdown` if the server stops where there is no
 *   answer, `cancelled` if it leaves.
 */
export async function negotiate(
  stream: ByteStream,
  options: HandshakeOptions,
): Promise<Negotiated | undefined> {
  const { exports, optionsMax, isStopping } = options;
  for (const served of exports) assertExport(served);
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
  const session: Session = {
    exports,
    zeroes: (clientFlags & HANDSHAKE_NO_ZEROES) === 0,
    dialect: "simple",
    selection: undefined,
    nextContextId: 1,
  };
  for (let count = 0; count < optionsMax; count++) {
    const option = await takeOption(reader);
    const answer = isStopping() && option.number !== OPTION_ABORT
      ? refuseStopping(option)
      : answerOption(option, session);
    const sent = writeAll(stream, joined(answer.messages));
    if (answer.then === "end") {
      // A client that says goodbye need not stay for the answer.
      await sent.catch(() => {});
      return undefined;
    }
    await sent;
    if (answer.then !== undefined) {
      return { ...answer.then, early: reader.rest() };
    }
  }
  throw violation(`more than ${optionsMax} options were sent`);
}

async function takeOption(reader: HandshakeReader): Promise<Option> {
  const view = viewOf(await reader.take(OPTION_HEADER_SIZE));
  if (
    view.getUint32(0) !== OPTION_MAGIC_HIGH ||
    view.getUint32(4) !== OPTION_MAGIC_LOW
  ) {
    throw violation(`an option starts with ${hex(view.getUint32(0))}, not \
with IHAVEOPT`);
  }
  const number = view.getUint32(8);
  const length = view.getUint32(12);
  if (length <= OPTION_DATA_MAX) {
    return { number, data: await reader.take(length), length };
  }
  // EXPORT_NAME has no error reply, so there is nothing to stay in sync for.
  if (length > OPTION_DRAIN_MAX || number === OPTION_EXPORT_NAME) {
    throw violation(`option ${number} announces ${length} bytes, at most \
${OPTION_DATA_MAX} are taken`);
  }
  await reader.skip(length);
  return { number, data: new Uint8Array(0), length };
}

function refuseStopping(option: Option): Answer {
  if (option.number === OPTION_EXPORT_NAME) {
    throw new VirstorError("shutdown", "The server is stopping");
  }
  return refusal(option, REPLY_ERROR_SHUTDOWN, "The server is stopping");
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
