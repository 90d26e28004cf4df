/**
 * The handshake (fixed newstyle): the server sends its greeting, the client
 * its flags, then options. An option starts the transmission phase or ends the
 * connection.
 *
 * Source: NBD `doc/proto.md`, sections "Fixed newstyle negotiation" and
 * "Termination of the session during option haggling".
 *
 * *Ensures:* the server holds one small buffer for a connection, whatever
 * lengths its client announces; it answers each option with one send; it only
 * compares the names that a client sends. What a client sent or negotiated
 * before TLS is void after it.
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
import { answerOption } from "./option_answers.ts";
import { encodeGreeting } from "./option_reply.ts";
import {
  type Answer,
  type Choice,
  type Option,
  refusal,
  type Security,
  type Session,
} from "./session.ts";
import { type ByteStream, type Carrier, writeAll } from "../stream/mod.ts";
import { type NbdTls, startTls } from "../tls/mod.ts";

/**
 * Steps between two readings of the clock. Each byte of an option is a step,
 * because the server may compare it as part of a name. A usual handshake takes
 * fewer.
 */
const STEPS_A_LOOK = 1024;
/** Steps of an option in addition to its bytes. */
const OPTION_STEPS = 32;

/** What the server offers in a handshake. */
export interface HandshakeOptions {
  /** All exports; the first is the default one. */
  readonly exports: readonly NbdExport[];
  /** Number of options after which the server ends the handshake. */
  readonly optionsMax: number;
  /** Whether the server is stopping; then it refuses every option but ABORT. */
  readonly isStopping: () => boolean;
  /**
   * Tells whether the server no longer serves an export and refuses it.
   *
   * @param name Name of the export.
   */
  isDismissed(name: string): boolean;
  /** How to encrypt; `undefined` makes the server refuse STARTTLS. */
  readonly tls: NbdTls | undefined;
  /**
   * Called when the client asks for an export that does not exist and may
   * still ask for another one.
   *
   * @param name Name that the client sent, in quotes, on one line.
   */
  readonly onUnknownExport: (name: string) => void;
  /**
   * Called when the connection is encrypted.
   *
   * @param inside The encrypted connection, which replaces `stream`. Closing
   *   it closes `stream`.
   */
  readonly onEncrypted: (inside: Carrier) => void;
}

/** The result of a handshake. */
export interface Negotiated extends Choice {
  /** Bytes of requests that the client sent together with its last option. */
  readonly early: Uint8Array;
  /** What carries the connection, if it is encrypted. */
  readonly encrypted: Carrier | undefined;
}

/**
 * Negotiates an export and a dialect with a client.
 *
 * *Requires:* no bytes were read from or written to `stream`.
 *
 * @param stream The connection.
 * @param options What the server offers.
 * @returns The client's choice; `undefined` if it ended the negotiation.
 * @throws {VirstorError} With code `invalid` if the client violates the
 *   protocol or TLS fails; `not-found` if EXPORT_NAME names an unknown export;
 *   `shutdown` if EXPORT_NAME arrives while the server, or its export, stops
 *   (EXPORT_NAME has no error reply); `cancelled` if the client disconnects.
 */
export async function negotiate(
  stream: ByteStream,
  options: HandshakeOptions,
): Promise<Negotiated | undefined> {
  const { optionsMax, isStopping } = options;
  for (const nbdExport of options.exports) assertExport(nbdExport);
  let encrypted: Carrier | undefined;
  let reader = readerOf(stream);
  await writeAll(stream, encodeGreeting());
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
    const sent = writeAll(encrypted ?? stream, joined(answer.messages));
    if (answer.then === "end") {
      // A client may disconnect after ABORT without reading the reply.
      await sent.catch(() => {});
      return undefined;
    }
    await sent;
    if (answer.then === "encrypt") {
      encrypted = await encrypt(stream, options);
      reader = readerOf(encrypted);
      session = startSession(session.zeroes, options, "encrypted");
    } else if (answer.then !== undefined) {
      return { ...answer.then, early: reader.rest(), encrypted };
    }
  }
  throw violation(`more than ${counted(optionsMax, "option")} were sent`);
}

function readerOf(stream: ByteStream): HandshakeReader {
  return new HandshakeReader(stream, OPTION_HEADER_SIZE + OPTION_DATA_MAX);
}

/** @returns Whether the client expects zeroes after the EXPORT_NAME reply. */
async function takeFlags(reader: HandshakeReader): Promise<boolean> {
  const flags = viewOf(await reader.take(4)).getUint32(0);
  if ((flags & ~CLIENT_FLAGS_KNOWN) !== 0) {
    throw violation(`client flags are ${hex(flags)}, only bits 0 and 1 \
are known`);
  }
  return (flags & HANDSHAKE_NO_ZEROES) === 0;
}

/** Starts with nothing negotiated: at first, and again after STARTTLS. */
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
 * Refuses plain bytes that follow STARTTLS: an attacker may have injected them
 * into the connection of a client that authenticates afterwards. Plain bytes
 * that arrive later are decoded as TLS, which fails.
 */
function assertSilence(reader: HandshakeReader): void {
  const { length } = reader.rest();
  if (length === 0) return;
  throw violation(`${inBytes(length)} came behind STARTTLS, the client must \
wait for the reply`);
}

async function encrypt(
  stream: ByteStream,
  { tls, onEncrypted }: HandshakeOptions,
): Promise<Carrier> {
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
  // EXPORT_NAME has no error reply, so the server need not stay in sync.
  if (length > OPTION_DRAIN_MAX || number === OPTION_EXPORT_NAME) {
    throw violation(`option ${number} announces ${inBytes(length)}, at most \
${OPTION_DATA_MAX} are accepted`);
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
