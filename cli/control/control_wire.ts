/**
 * Requests and answers of a control socket, with as much of HTTP/1.1 as both
 * ends need. The runtime's own HTTP server opens its own listener, and does not
 * recover once the process has run out of descriptors; its HTTP client takes
 * longer to load than `virstor status` takes.
 *
 * @module
 */

import { VirstorError } from "../../errors.ts";

/** The longest header, bytes. */
const HEADER_MAX = 16 * 1024;
/** The longest request, bytes: the paths of a few thousand components. */
const REQUEST_MAX = 4 * 1024 * 1024;
/** The header line with the length of the body, bytes. */
const CONTENT_LENGTH = /\r\ncontent-length: *(\d+)\r\n/i;

/** A received request. */
export interface ControlMessage {
  /** The name of the call. */
  readonly call: string;
  /** The body, JSON. */
  readonly text: string;
}

/**
 * Receives a request.
 *
 * @param connection A connection from which nothing was read.
 * @returns The request; `undefined` if the client left before sending it all.
 * @throws {VirstorError} `invalid` if the header is wrong or the request too
 *   long.
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
    throw new VirstorError(
      "invalid",
      "Cannot read the request: it is no POST with a length",
    );
  }
  const length = Number(digits);
  if (length > REQUEST_MAX) throw tooLong();
  const text = await incoming.body(length);
  return text === undefined ? undefined : { call, text };
}

/**
 * Sends a request.
 *
 * @param connection A connection to which nothing was written.
 * @param call The name of the call.
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
 * @throws {VirstorError} `io` if the server closes the connection before the
 *   answer is complete, or sends anything else.
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
  throw new VirstorError(
    "io",
    "The server closed the connection without an answer",
  );
}

/**
 * Begins an answer that is a stream of lines, which ends with the connection.
 *
 * @param connection The connection.
 */
export async function sendStreamHead(
  connection: Pick<Deno.Conn, "write">,
): Promise<void> {
  const lines = [
    "HTTP/1.1 200 OK",
    "content-type: application/x-ndjson",
    "connection: close",
  ].map((line) => `${line}\r\n`).join("");
  await sendAll(connection, new TextEncoder().encode(`${lines}\r\n`));
}

/**
 * Sends lines of a stream.
 *
 * @param connection The connection.
 * @param lines The lines, without line breaks.
 */
export async function sendLines(
  connection: Pick<Deno.Conn, "write">,
  lines: readonly string[],
): Promise<void> {
  const text = lines.map((line) => `${line}\n`).join("");
  await sendAll(connection, new TextEncoder().encode(text));
}

/**
 * Receives a stream of lines, or the answer that comes in its place.
 *
 * @param connection The connection, after the request was sent.
 * @returns Each line without its line break; an answer is one line. Half a line
 *   at the end of the connection is left out.
 */
export async function* receiveLines(
  connection: Pick<Deno.Conn, "read">,
): AsyncGenerator<string, void> {
  const incoming = new Incoming(connection);
  const header = await incoming.header() ?? "";
  const [, digits] = CONTENT_LENGTH.exec(header) ?? [];
  if (digits !== undefined) {
    yield await incoming.body(Number(digits)) ?? "";
    return;
  }
  const decoder = new TextDecoder();
  let rest = "";
  for await (const bytes of incoming.rest()) {
    const lines = (rest + decoder.decode(bytes, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
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
  await sendAll(
    connection,
    joined(new TextEncoder().encode(`${header}\r\n`), body),
  );
}

async function sendAll(
  connection: Pick<Deno.Conn, "write">,
  bytes: Uint8Array,
): Promise<void> {
  for (let sent = 0; sent < bytes.length;) {
    sent += await connection.write(bytes.subarray(sent));
  }
}

/** Receives a header, then a body of a known length. */
class Incoming {
  readonly #connection: Pick<Deno.Conn, "read">;
  /** Bytes of the body that arrived with the header. */
  #early = new Uint8Array(0);

  constructor(connection: Pick<Deno.Conn, "read">) {
    this.#connection = connection;
  }

  /** The header; `undefined` if the peer left before its end. */
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

  /** The body; `undefined` if the peer left before its end. */
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

  /** What follows the header, until the peer closes the connection. */
  async *rest(): AsyncGenerator<Uint8Array, void> {
    if (this.#early.length > 0) yield this.#early;
    const piece = new Uint8Array(HEADER_MAX);
    for (;;) {
      const count = await this.#connection.read(piece);
      if (count === null) return;
      yield piece.subarray(0, count);
    }
  }
}

function tooLong(): VirstorError {
  return new VirstorError("invalid", "Cannot read the request: it is too long");
}

/** The offset of the body; -1 if the header is not complete. */
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
