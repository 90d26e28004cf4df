/**
 * One request of a control socket and its answer: as much of HTTP/1.1 as both
 * ends need. The runtime's own server of HTTP listens by itself, and does not go
 * on once the process has run out of descriptors; its client takes longer to
 * load than `virstor status` takes.
 *
 * @module
 */

import { VirstorError } from "../../errors.ts";

/** The longest header, bytes. */
const HEADER_MAX = 16 * 1024;
/** The longest request, bytes: paths of some thousand components. */
const REQUEST_MAX = 4 * 1024 * 1024;
/** The header's line that says how long the body is, bytes. */
const CONTENT_LENGTH = /\r\ncontent-length: *(\d+)\r\n/i;

/** What was asked. */
export interface ControlMessage {
  /** The call. */
  readonly call: string;
  /** The request, JSON. */
  readonly text: string;
}

/**
 * Receives a request.
 *
 * @param connection The connection, fresh.
 * @returns What is asked; `undefined` if the client left without asking.
 * @throws {VirstorError} `invalid` if it makes no sense or is too long.
 */
export async function receiveMessage(
  connection: Pick<Deno.Conn, "read">,
): Promise<ControlMessage | undefined> {
  const incoming = new Incoming(connection);
  const header = await incoming.header();
  if (header === undefined) return undefined;
  const [, call] = /^POST \/(\S*) HTTP\/1\.[01]\r\n/.exec(header) ?? [];
  const [, digits] = CONTENT_LENGTH.exec(header) ?? [];
  if (call === undefined || digits === undefined) {
    throw new VirstorError("invalid", "The request is none of virstor");
  }
  const length = Number(digits);
  if (length > REQUEST_MAX) throw tooLong();
  const text = await incoming.body(length);
  return text === undefined ? undefined : { call, text };
}

/**
 * Sends a request.
 *
 * @param connection The connection, fresh.
 * @param call The call.
 * @param request The request, JSON.
 */
export async function sendRequest(
  connection: Pick<Deno.Conn, "write">,
  call: string,
  request: string,
): Promise<void> {
  await send(connection, [`POST /${call} HTTP/1.1`, "host: virstor"], request);
}

/**
 * Receives an answer.
 *
 * @param connection The connection, after the request was sent.
 * @returns The answer, JSON.
 * @throws {VirstorError} `io` if the server leaves before all of it has come, or
 *   sends anything else.
 */
export async function receiveAnswer(
  connection: Pick<Deno.Conn, "read">,
): Promise<string> {
  const incoming = new Incoming(connection);
  const header = await incoming.header() ?? "";
  const [, digits] = CONTENT_LENGTH.exec(header) ?? [];
  const text = digits === undefined
    ? undefined
    : await incoming.body(Number(digits));
  if (text !== undefined) return text;
  throw new VirstorError("io", "The server left without an answer");
}

/**
 * Sends an answer.
 *
 * @param connection The connection.
 * @param answer The answer, JSON.
 */
export async function sendAnswer(
  connection: Pick<Deno.Conn, "write">,
  answer: string,
): Promise<void> {
  await send(connection, ["HTTP/1.1 200 OK"], answer);
}

async function send(
  connection: Pick<Deno.Conn, "write">,
  firstLines: readonly string[],
  text: string,
): Promise<void> {
  const body = new TextEncoder().encode(text);
  const header = [
    ...firstLines,
    "content-type: application/json",
    `content-length: ${body.length}`,
    "connection: close",
  ].map((line) => `${line}\r\n`).join("");
  const bytes = joined(new TextEncoder().encode(`${header}\r\n`), body);
  for (let sent = 0; sent < bytes.length;) {
    sent += await connection.write(bytes.subarray(sent));
  }
}

/** What comes over a connection: a header, then a body of a known length. */
class Incoming {
  readonly #connection: Pick<Deno.Conn, "read">;
  /** What came behind the header. */
  #early = new Uint8Array(0);

  constructor(connection: Pick<Deno.Conn, "read">) {
    this.#connection = connection;
  }

  /** The header; nothing if the peer left before its end. */
  async header(): Promise<string | undefined> {
    const piece = new Uint8Array(HEADER_MAX);
    let bytes = new Uint8Array(0);
    let end: number;
    while ((end = endOfHeader(bytes)) < 0) {
      if (bytes.length > HEADER_MAX) throw tooLong();
      const count = await this.#connection.read(piece);
      if (count === null) return undefined;
      bytes = joined(bytes, piece.subarray(0, count));
    }
    this.#early = bytes.subarray(end);
    return new TextDecoder().decode(bytes.subarray(0, end));
  }

  /** The body; nothing if the peer left before its end. */
  async body(length: number): Promise<string | undefined> {
    const bytes = new Uint8Array(length);
    let filled = Math.min(this.#early.length, length);
    bytes.set(this.#early.subarray(0, filled));
    while (filled < length) {
      const count = await this.#connection.read(bytes.subarray(filled));
      if (count === null) return undefined;
      filled += count;
    }
    return new TextDecoder().decode(bytes);
  }
}

function tooLong(): VirstorError {
  return new VirstorError("invalid", "The request is too long");
}

/** Where the body starts; -1 if that has not come. */
function endOfHeader(bytes: Uint8Array): number {
  for (let at = 0; at + 4 <= bytes.length; at++) {
    const isEnd = bytes[at] === 13 && bytes[at + 1] === 10 &&
      bytes[at + 2] === 13 && bytes[at + 3] === 10;
    if (isEnd) return at + 4;
  }
  return -1;
}

function joined(
  first: Uint8Array,
  second: Uint8Array,
): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(first.length + second.length);
  bytes.set(first);
  bytes.set(second, first.length);
  return bytes;
}
