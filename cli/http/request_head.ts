/**
 * The head of an HTTP request: its first line and its fields.
 *
 * @module
 */

/** The longest head, bytes. */
const HEAD_MAX = 8 * 1024;
/** The longest body, bytes. */
const BODY_MAX = 16 * 1024;
/** The first line, and the line breaks that end it. */
const FIRST_LINE = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+) (\S+) HTTP\/1\.[01]\r?\n/;

/** What a client asks for. */
export interface RequestHead {
  /** The method, for instance `GET`. */
  readonly method: string;
  /** The path, without a query. */
  readonly path: string;
  /** The query; empty without one. */
  readonly query: URLSearchParams;
  /** The fields by their names in lower case; the last one of a name. */
  readonly fields: ReadonlyMap<string, string>;
  /** What has come behind the head. */
  readonly behind: Uint8Array;
}

/** The head is malformed, or too long: the status to answer. */
export type HeadFault = 400 | 431;
/** The body has no length, another one than it says, or is too long. */
export type BodyFault = 400 | 411 | 413;

/**
 * Receives the head of a request.
 *
 * @param connection A connection from which nothing was read.
 * @returns The head, or what is wrong with it; `undefined` if the client left
 *   before the end of the head.
 */
export async function receiveHead(
  connection: Pick<Deno.Conn, "read">,
): Promise<RequestHead | HeadFault | undefined> {
  const bytes = new Uint8Array(HEAD_MAX);
  const decoder = new TextDecoder("latin1");
  let filled = 0;
  for (let isWhole = false; !isWhole;) {
    if (filled === HEAD_MAX) return 431;
    const count = await connection.read(bytes.subarray(filled));
    if (count === null) return undefined;
    // The end may have come in two pieces.
    const from = Math.max(0, filled - 3);
    filled += count;
    const newest = decoder.decode(bytes.subarray(from, filled));
    isWhole = /\r?\n\r?\n/.test(newest);
  }
  const text = decoder.decode(bytes.subarray(0, filled));
  const [, method, target] = FIRST_LINE.exec(text) ?? [];
  if (method === undefined || target === undefined) return 400;
  const [path = "", ...rest] = target.split("?");
  const query = new URLSearchParams(rest.join("?"));
  const [end] = /\r?\n\r?\n/.exec(text) ?? [""];
  const behind = bytes.subarray(text.indexOf(end) + end.length, filled);
  return { method, path, query, fields: fieldsOf(text), behind };
}

/**
 * Receives the body of a request.
 *
 * @param connection The connection, after the head was received.
 * @param head The head.
 * @returns The body, or what is wrong with it; `undefined` if the client left
 *   before its end.
 */
export async function receiveBody(
  connection: Pick<Deno.Conn, "read">,
  { fields, behind }: RequestHead,
): Promise<string | BodyFault | undefined> {
  const digits = fields.get("content-length") ?? "";
  if (!/^\d{1,9}$/.test(digits) || fields.has("transfer-encoding")) return 411;
  const length = Number(digits);
  if (length > BODY_MAX) return 413;
  if (behind.length > length) return 400;
  const bytes = new Uint8Array(length);
  bytes.set(behind);
  for (let filled = behind.length; filled < length;) {
    const count = await connection.read(bytes.subarray(filled));
    if (count === null) return undefined;
    filled += count;
  }
  return new TextDecoder().decode(bytes);
}

function fieldsOf(text: string): Map<string, string> {
  const fields = new Map<string, string>();
  for (const line of text.split(/\r?\n/).slice(1)) {
    if (line === "") break;
    const at = line.indexOf(":");
    if (at > 0) {
      fields.set(line.slice(0, at).toLowerCase(), line.slice(at + 1).trim());
    }
  }
  return fields;
}
