/**
 * Receives one request of a control socket and sends the answer, with as much
 * of HTTP/1.1 as both ends need. The runtime's own HTTP server opens its own
 * listener, and does not recover once the process has run out of descriptors.
 *
 * @module
 */

import { VirstorError } from "../../errors.ts";

/** The longest header, bytes. */
const HEADER_MAX = 16 * 1024;
/** The longest request, bytes: the paths of a few thousand components. */
const REQUEST_MAX = 4 * 1024 * 1024;

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
  let bytes = new Uint8Array(0);
  const receive = async (): Promise<boolean> => {
    const piece = new Uint8Array(HEADER_MAX);
    const count = await connection.read(piece);
    if (count === null) return false;
    bytes = joined(bytes, piece.subarray(0, count));
    return true;
  };
  let end: number;
  while ((end = endOfHeader(bytes)) < 0) {
    if (bytes.length > HEADER_MAX) throw tooLong();
    if (!await receive()) return undefined;
  }
  const header = new TextDecoder().decode(bytes.subarray(0, end));
  const [, call] = /^POST \/(\S*) HTTP\/1\.[01]\r\n/.exec(header) ?? [];
  const [, digits] = /\r\ncontent-length: *(\d+)\r\n/i.exec(header) ?? [];
  if (call === undefined || digits === undefined) {
    throw new VirstorError(
      "invalid",
      "Cannot read the request: it is no POST with a length",
    );
  }
  const length = Number(digits);
  if (length > REQUEST_MAX) throw tooLong();
  while (bytes.length < end + length) {
    if (!await receive()) return undefined;
  }
  const body = bytes.subarray(end, end + length);
  return { call, text: new TextDecoder().decode(body) };
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
  const body = new TextEncoder().encode(answer);
  const header = [
    "HTTP/1.1 200 OK",
    "content-type: application/json",
    `content-length: ${body.length}`,
    "connection: close",
  ].map((line) => `${line}\r\n`).join("");
  const bytes = joined(new TextEncoder().encode(`${header}\r\n`), body);
  for (let sent = 0; sent < bytes.length;) {
    sent += await connection.write(bytes.subarray(sent));
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
