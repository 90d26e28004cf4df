/**
 * The handshake, fixed newstyle: greeting, client flags, then options until
 * one of them starts the transmission or ends the connection.
 *
 * Source: NBD `doc/proto.md`, sections "Fixed newstyle negotiation" and
 * "Termination of the session during option haggling".
 *
 * It promises to hold no more than one small buffer whatever the client
 * announces, to answer each option with one send, and never to use a name for
 * anything but a comparison. Nothing that came, or was agreed on, before TLS
 * counts after it.
 *
 * @module
 */

import { Slice, turns, viewOf } from "../../../device/block/mod.ts";
import { assert, counted, inBytes, VirstorError } from "../../../errors.ts";
import { assertExport, type NbdExport } from "../export/mod.ts";
import { HandshakeReader } from "./handshake_reader.ts";
import {
  CLIENT_FLAGS_KNOWN,
  HANDSHAKE_NO_ZEROES,
  OPTION_ABORT,
  OPTION_DATA_MAX,
  OPTION_DRAIN_MAX,
  OPTION_EXPORT_NAME,
  OPTION_HEADER_SIZE,
  OPTION_MAGIC_HIGH,
  OPTION_MAGIC_LOW,
  REPLY_ERROR_SHUTDOWN,
} from "../../wire/mod.ts";
import {
  type Answer,
  answerOption,
  type Choice,
  type Option,
  refusal,
  type Security,
  type Session,
} from "./option_answers.ts";
import { encodeGreeting } from "./option_reply.ts";
import { type ByteStream, writeAll } from "../stream/mod.ts";
import { type NbdTls, startTls } from "../tls/mod.ts";

/**
 * Steps between two looks at the clock; a byte of an option is one, since it
 * may be a name. Usual handshakes never look.
 */
const STEPS_A_LOOK = 1024;
/** Steps that any option is worth. */
const OPTION_STEPS = 32;

/** What a handshake needs to know. */
export interface HandshakeOptions {
  /** All exports; the first is the default one. */
  readonly exports: readonly NbdExport[];
  /** The most options in one handshake. */
  readonly optionsMax: number;
  /** Whether the server is stopping now; then options are refused. */
  readonly isStopping: () => boolean;
  /**
   * Tells whether an export is not served any more; then it is refused.
   *
   * @param name Its name.
   */
  isDismissed(name: string): boolean;
  /** Whether and how to encrypt; STARTTLS is refused without it. */
  readonly tls: NbdTls | undefined;
  /**
   * Told of the name of an export that there is not, where the client may ask
   * for another one.
   *
   * @param name The name in quotes, on one line.
   */
  readonly onUnknownExport: (name: string) => void;
  /**
   * Called when the connection is encrypted.
   *
   * @param inside What stands for the connection from then on, and ends it.
   */
  readonly onEncrypted: (inside: ByteStream) => void;
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
  const { optionsMax, isStopping } = options;
  for (const served of options.exports) assertExport(served);
  let inside = stream;
  let reader = readerOf(inside);
  await writeAll(inside, encodeGreeting());
  let session = startSession(await takeFlags(reader), options);
  const slice = new Slice(STEPS_A_LOOK);
  for (let count = 0; count < optionsMax; count++) {
    const option = await takeOption(reader);
    if (slice.spend(OPTION_STEPS + option.data.length)) {
      await turns.next(stream);
      slice.begin();
    }
    const answer = isStopping() && option.number !== OPTION_ABORT
      ? refuseStopping(option)
      : answerOption(option, session);
    if (answer.then === "encrypt") assertSilence(reader);
    const sent = writeAll(inside, joined(answer.messages));
    if (answer.then === "end") {
      // A client that says goodbye need not stay for the answer.
      await sent.catch(() => {});
      return undefined;
    }
    await sent;
    if (answer.then === "encrypt") {
      inside = await encrypt(stream, options);
      reader = readerOf(inside);
      session = startSession(session.zeroes, options, "encrypted");
    } else if (answer.then !== undefined) {
      return { ...answer.then, early: reader.rest() };
    }
  }
  throw violation(`more than ${counted(optionsMax, "option")} were sent`);
}

function readerOf(stream: ByteStream): HandshakeReader {
  return new HandshakeReader(stream, OPTION_HEADER_SIZE + OPTION_DATA_MAX);
}

/** @returns Whether the client wants zeroes after the answer to EXPORT_NAME. */
async function takeFlags(reader: HandshakeReader): Promise<boolean> {
  const flags = viewOf(await reader.take(4)).getUint32(0);
  if ((flags & ~CLIENT_FLAGS_KNOWN) !== 0) {
    throw violation(`client flags are ${hex(flags)}, only bits 0 and 1 \
are known`);
  }
  return (flags & HANDSHAKE_NO_ZEROES) === 0;
}

/** Nothing is agreed on yet, or any more. */
function startSession(
  zeroes: boolean,
  { exports, isDismissed, tls, onUnknownExport }: HandshakeOptions,
  security?: Security,
): Session {
  const unencrypted = tls?.required === true ? "required" : "optional";
  return {
    exports,
    isDismissed,
    zeroes,
    security: security ?? (tls === undefined ? "plain" : unencrypted),
    dialect: "simple",
    selection: undefined,
    onUnknownExport,
    nextContextId: 1,
  };
}

/**
 * What came behind STARTTLS may be from somebody else than the one who will
 * then prove who he is. What is still on its way is taken for TLS, and fails.
 */
function assertSilence(reader: HandshakeReader): void {
  const { length } = reader.rest();
  if (length > 0) throw violation(`${inBytes(length)} came behind STARTTLS`);
}

async function encrypt(
  stream: ByteStream,
  { tls, onEncrypted }: HandshakeOptions,
): Promise<ByteStream> {
  assert(tls !== undefined, "TLS is agreed on only where it is configured");
  const inside = await startTls(stream, tls.identity());
  onEncrypted(inside);
  return inside;
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
    throw violation(`option ${number} announces ${inBytes(length)}, at most \
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

function violation(what: string): VirstorError {
  return new VirstorError("invalid", `Cannot negotiate: ${what}`);
}

function hex(value: number): string {
  return `0x${(value >>> 0).toString(16)}`;
}
