/**
 * The option phase of a handshake: greeting, TLS, options and their replies.
 *
 * Source: NBD `doc/proto.md`, section "Handshake". All fields are big-endian.
 * The server is not trusted: lengths and counts are bounded.
 *
 * @module
 */

import { viewOf } from "../../../device/block/mod.ts";
import {
  inBytes,
  messageOf,
  printable,
  VirstorError,
} from "../../../errors.ts";
import {
  getUint64,
  GREETING_SIZE,
  HANDSHAKE_FIXED_NEWSTYLE,
  HANDSHAKE_NO_ZEROES,
  NBD_MAGIC_HIGH,
  NBD_MAGIC_LOW,
  OLDSTYLE_MAGIC_HIGH,
  OLDSTYLE_MAGIC_LOW,
  OPTION_HEADER_SIZE,
  OPTION_MAGIC_HIGH,
  OPTION_MAGIC_LOW,
  OPTION_REPLY_HEADER_SIZE,
  OPTION_REPLY_MAGIC_HIGH,
  OPTION_REPLY_MAGIC_LOW,
  OPTION_STARTTLS,
  REPLY_ACK,
  REPLY_ERROR_TLS_REQUIRED,
  REPLY_ERROR_UNKNOWN,
  REPLY_ERROR_UNSUPPORTED,
} from "../../wire/mod.ts";
import { ByteReader } from "./byte_reader.ts";
import {
  type NbdClientTls,
  readCertificates,
  startClientTls,
} from "./client_tls.ts";
import { connectForTls, connectPlain } from "./connect.ts";
import { type HandshakeStyle, ProtocolFault } from "./export_info.ts";
import { type ClientStream, NodeStream, sendAll } from "./stream.ts";
import type { NbdUri } from "./uri.ts";

/** The longest data of an option reply, bytes: two strings, and some fields. */
const REPLY_DATA_MAX = 16 * 1024;
/** Replies to one option: the longest list of exports. */
const REPLIES_MAX = 65_536;
/** Bytes of the rest of an oldstyle greeting: size, flags, zeroes. */
const OLDSTYLE_REST = 8 + 4 + 124;
/** Characters of a server's text in a message. */
const TEXT_MAX = 200;
/** All replies from here on are errors. */
const REPLY_ERROR = 0x80000000;

/** One reply to an option. */
export interface OptionReply {
  /** Type of the reply. */
  readonly type: number;
  /** Data of the reply. */
  readonly data: Uint8Array;
}

/** The replies to one option. */
export interface OptionAnswer {
  /** The replies before the last one. */
  readonly replies: readonly OptionReply[];
  /** Type of the last reply: `REPLY_ACK`, or an error. */
  readonly end: number;
  /** Text of the server about an error; "" if there is none. */
  readonly text: string;
}

/** Configuration of a connection. */
export interface ConnectionOptions {
  /** Certificates; by default those in the directory of the URI. */
  readonly tls?: NbdClientTls | undefined;
  /** Gives up. */
  readonly signal: AbortSignal;
  /** The metadata context to select. Default: `base:allocation`. */
  readonly context?: string | undefined;
  /**
   * @internal The only connection to use, instead of one to the address of the
   * URI, without encryption.
   */
  readonly stream?: ClientStream | undefined;
  /** @internal Whether to negotiate simple replies. Default: the best form. */
  readonly isSimple?: boolean | undefined;
}

/** A connection in its option phase. */
export class OptionChannel {
  /** Receives from the server. */
  readonly reader: ByteReader;
  #stream: ClientStream;
  #style: HandshakeStyle = "oldstyle";
  #hasZeroes = true;
  #oldstyle: Uint8Array | undefined;

  private constructor(stream: ClientStream) {
    this.#stream = stream;
    this.reader = new ByteReader(stream);
  }

  /**
   * Connects, receives the greeting, and encrypts if the URI says so.
   *
   * @param uri The URI.
   * @param options Certificates, and when to give up.
   * @returns The connection, ready for the first option.
   * @throws {VirstorError} If the server cannot be reached, speaks no NBD or
   *   cannot be trusted.
   */
  static async open(
    uri: NbdUri,
    options: ConnectionOptions,
  ): Promise<OptionChannel> {
    const { signal } = options;
    if (!uri.tls) {
      const stream = options.stream ?? await connectPlain(uri, signal);
      return await closedOnFailure(stream, signal, async () => {
        const channel = new OptionChannel(stream);
        await channel.#greet();
        return channel;
      });
    }
    const tls = options.tls ??
      (uri.tlsCertificates === ""
        ? {}
        : await readCertificates(uri.tlsCertificates));
    const socket = await connectForTls(uri, signal);
    const stream = new NodeStream(socket);
    return await closedOnFailure(stream, signal, async () => {
      const channel = new OptionChannel(stream);
      await channel.#greet();
      await channel.#requestTls();
      // An attacker on the way may have sent bytes before the encryption.
      if (channel.reader.available + stream.pending > 0) {
        throw new ProtocolFault("data in the clear follows STARTTLS");
      }
      const inside = await startClientTls(socket, uri, tls);
      channel.#stream = inside;
      channel.reader.replaceStream(inside);
      return channel;
    });
  }

  /** The connection. */
  get stream(): ClientStream {
    return this.#stream;
  }

  /** Form of the handshake. */
  get style(): HandshakeStyle {
    return this.#style;
  }

  /** Whether zeroes follow the answer to EXPORT_NAME. */
  get hasZeroes(): boolean {
    return this.#hasZeroes;
  }

  /** Size and flags of the only export of an oldstyle server. */
  get oldstyleExport(): { readonly size: number; readonly flags: number } {
    const view = viewOf(this.#oldstyle ?? new Uint8Array(12));
    return { size: getUint64(view, 0), flags: view.getUint32(8) & 0xffff };
  }

  /**
   * Sends an option, and receives all replies to it.
   *
   * @param option The option.
   * @param data The option's data.
   * @returns The replies.
   * @throws {VirstorError} If the connection ends, or a reply is malformed.
   */
  async option(
    option: number,
    data: Uint8Array = new Uint8Array(),
  ): Promise<OptionAnswer> {
    await this.sendOption(option, data);
    const replies: OptionReply[] = [];
    for (;;) {
      const { type, data } = await this.#receiveReply(option);
      if (type === REPLY_ACK) {
        if (data.length > 0) throw new ProtocolFault("ACK has data");
        return { replies, end: type, text: "" };
      }
      if (type >= REPLY_ERROR) {
        const text = printable(new TextDecoder().decode(data));
        return { replies, end: type, text: text.slice(0, TEXT_MAX) };
      }
      replies.push({ type, data });
      if (replies.length > REPLIES_MAX) {
        throw new ProtocolFault(`option ${option} has too many replies`);
      }
    }
  }

  /**
   * Sends an option, and receives nothing.
   *
   * @param option The option.
   * @param data The option's data.
   */
  async sendOption(option: number, data: Uint8Array): Promise<void> {
    const message = new Uint8Array(OPTION_HEADER_SIZE + data.length);
    const view = viewOf(message);
    view.setUint32(0, OPTION_MAGIC_HIGH);
    view.setUint32(4, OPTION_MAGIC_LOW);
    view.setUint32(8, option);
    view.setUint32(12, data.length);
    message.set(data, OPTION_HEADER_SIZE);
    await sendAll(this.#stream, message);
  }

  async #receiveReply(option: number): Promise<OptionReply> {
    await this.reader.need(OPTION_REPLY_HEADER_SIZE);
    const at = this.reader.take(OPTION_REPLY_HEADER_SIZE);
    const { view } = this.reader;
    if (
      view.getUint32(at) !== OPTION_REPLY_MAGIC_HIGH ||
      view.getUint32(at + 4) !== OPTION_REPLY_MAGIC_LOW
    ) {
      throw new ProtocolFault("an option reply has a wrong magic");
    }
    const about = view.getUint32(at + 8);
    const type = view.getUint32(at + 12);
    const length = view.getUint32(at + 16);
    if (about !== option) {
      throw new ProtocolFault(`option ${option} is answered as ${about}`);
    }
    if (length > REPLY_DATA_MAX) {
      throw new ProtocolFault(`an option reply has ${inBytes(length)} of data`);
    }
    const data = new Uint8Array(length);
    await this.reader.fill(data);
    return { type, data };
  }

  /** Receives the greeting, and replies with the client's flags. */
  async #greet(): Promise<void> {
    const { reader } = this;
    await reader.need(16);
    const at = reader.take(16);
    const { view } = reader;
    const [a, b] = [view.getUint32(at), view.getUint32(at + 4)];
    const [c, d] = [view.getUint32(at + 8), view.getUint32(at + 12)];
    if (a !== NBD_MAGIC_HIGH || b !== NBD_MAGIC_LOW) {
      throw new ProtocolFault("the greeting has a wrong magic");
    }
    if (c === OLDSTYLE_MAGIC_HIGH && d === OLDSTYLE_MAGIC_LOW) {
      this.#oldstyle = new Uint8Array(OLDSTYLE_REST);
      await reader.fill(this.#oldstyle);
      return;
    }
    if (c !== OPTION_MAGIC_HIGH || d !== OPTION_MAGIC_LOW) {
      throw new ProtocolFault("the greeting has a wrong second magic");
    }
    await reader.need(GREETING_SIZE - 16);
    const flags = reader.view.getUint16(reader.take(2));
    const known = flags & (HANDSHAKE_FIXED_NEWSTYLE | HANDSHAKE_NO_ZEROES);
    this.#style = (flags & HANDSHAKE_FIXED_NEWSTYLE) !== 0
      ? "fixed newstyle"
      : "newstyle";
    this.#hasZeroes = (flags & HANDSHAKE_NO_ZEROES) === 0;
    await sendAll(this.#stream, new Uint8Array([0, 0, 0, known]));
  }

  async #requestTls(): Promise<void> {
    if (this.#style !== "fixed newstyle") {
      throw new VirstorError(
        "unsupported",
        `The server cannot encrypt: it speaks ${this.#style}; use nbd or ` +
          "nbd+unix, without encryption, or another server",
      );
    }
    const { end, text } = await this.option(OPTION_STARTTLS);
    if (end !== REPLY_ACK) {
      throw new VirstorError(
        "unsupported",
        `The server refuses TLS${suffix(text)}; use nbd or nbd+unix, without ` +
          "encryption, or configure TLS there",
      );
    }
  }
}

/** The server says that it has no export of the name. */
export class UnknownExport extends VirstorError {}

/**
 * The error for an option that a server refuses.
 *
 * @param name Name of the export.
 * @param answer The server's answer.
 * @returns The error.
 */
export function refusal(name: string, answer: OptionAnswer): VirstorError {
  const text = suffix(answer.text);
  switch (answer.end) {
    case REPLY_ERROR_UNKNOWN:
      return new UnknownExport(
        "not-found",
        `The server has no export "${name}"${text}`,
      );
    case REPLY_ERROR_TLS_REQUIRED:
      return new VirstorError(
        "invalid",
        `The server requires TLS${text}; use nbds or nbds+unix`,
      );
    case REPLY_ERROR_UNSUPPORTED:
      return new VirstorError(
        "unsupported",
        `The server does not support this option${text}`,
      );
    default: {
      const number = answer.end - REPLY_ERROR;
      return new VirstorError(
        "io",
        `The server refuses export "${name}" (error 2^31+${number})${text}`,
      );
    }
  }
}

function suffix(text: string): string {
  return text === "" ? "" : ` ("${text}")`;
}

/**
 * Runs a part of a handshake. The stream is closed when it fails, and when the
 * caller gives up meanwhile.
 *
 * @param stream The connection.
 * @param signal Gives up.
 * @param run The part.
 * @returns What `run` returns.
 */
export async function closedOnFailure<T>(
  stream: ClientStream,
  signal: AbortSignal,
  run: () => Promise<T>,
): Promise<T> {
  const onAbort = () => stream.close();
  signal.addEventListener("abort", onAbort);
  try {
    signal.throwIfAborted();
    return await run();
  } catch (error) {
    stream.close();
    if (!signal.aborted) throw error;
    throw new VirstorError("io", messageOf(signal.reason), { cause: error });
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
