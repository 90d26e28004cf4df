/**
 * Judges the second phase of a transcript: which requests were sent, and
 * whether each was answered once, completely, and with the right error if any.
 *
 * @module
 */

import {
  NBD,
  type RawReply,
  type RawRequest,
} from "../helpers/nbd_messages.ts";
import { ReplyReader } from "../helpers/nbd_replies.ts";
import { check, type Cursor, EndOfBytes } from "./cursor.ts";
import type { Agreement } from "./judge_handshake.ts";
import { type ExportRules, EXPORTS, PAYLOAD_MAX } from "./world.ts";

/** A request and its reply. */
export interface Exchange {
  /** The request as the server must have understood it. */
  readonly request: RawRequest;
  /** What was answered. */
  readonly reply: RawReply;
}

/** What the requests of a transcript came to. */
export interface RequestsVerdict {
  /** Those that were answered, in the order of the replies. */
  readonly exchanges: readonly Exchange[];
  /** Whether every request has its answer, as far as is known. */
  readonly complete: boolean;
}

/** A flag of a command: which commands know it, by number. */
const FLAG_KNOWN: Readonly<Record<number, number>> = {
  [NBD.CMD_READ]: NBD.CMD_FLAG_FUA,
  [NBD.CMD_WRITE]: NBD.CMD_FLAG_FUA,
  [NBD.CMD_FLUSH]: NBD.CMD_FLAG_FUA,
  [NBD.CMD_TRIM]: NBD.CMD_FLAG_FUA,
  [NBD.CMD_CACHE]: NBD.CMD_FLAG_FUA,
  [NBD.CMD_WRITE_ZEROES]: NBD.CMD_FLAG_FUA | NBD.CMD_FLAG_NO_HOLE |
    NBD.CMD_FLAG_FAST_ZERO,
  [NBD.CMD_BLOCK_STATUS]: NBD.CMD_FLAG_FUA | NBD.CMD_FLAG_REQ_ONE,
};
const CHANGES: readonly number[] = [
  NBD.CMD_WRITE,
  NBD.CMD_TRIM,
  NBD.CMD_WRITE_ZEROES,
];
const FLAG_SEND_TRIM = 1 << 5;
const FLAG_SEND_FAST_ZERO = 1 << 11;

/**
 * Judges.
 *
 * @param sent What was sent, from the first request on.
 * @param received What came back, from the first reply on.
 * @param agreement What was agreed on.
 * @returns What was asked and answered.
 * @throws {Error} If an answer is wrong.
 */
export async function judgeRequests(
  sent: Cursor,
  received: Cursor,
  agreement: Agreement,
): Promise<RequestsVerdict> {
  const requests = decodeRequests(sent, agreement);
  const open = new Map(
    requests.map((request) => [request.cookie ?? 0n, request]),
  );
  if (open.size < requests.length) {
    // Which reply belongs to which of them is unknown.
    received.take(received.left);
    return { exchanges: [], complete: true };
  }
  const reader = new ReplyReader((length) => {
    return Promise.resolve(new Uint8Array(received.take(length)));
  });
  reader.dialect = agreement.dialect;
  for (const [cookie, request] of open) reader.expect(cookie, request);
  const exchanges: Exchange[] = [];
  try {
    while (received.left > 0) {
      const reply = await reader.receive();
      const request = open.get(reply.cookie);
      check(request !== undefined, `nothing was asked as ${reply.cookie}`);
      open.delete(reply.cookie);
      judgeError(request, reply, agreement);
      exchanges.push({ request, reply });
    }
  } catch (error) {
    if (!(error instanceof EndOfBytes)) throw error;
  }
  return { exchanges, complete: open.size === 0 };
}

/** The requests that are to be answered. */
function decodeRequests(sent: Cursor, agreement: Agreement): RawRequest[] {
  const extended = agreement.dialect === "extended";
  const requests: RawRequest[] = [];
  while (sent.left >= (extended ? 32 : 28)) {
    const header = sent.view(extended ? 32 : 28);
    const magic = extended ? 0x21e41c71 : 0x25609513;
    if (header.getUint32(0) !== magic) break;
    const flags = header.getUint16(4);
    const command = header.getUint16(6);
    if (command === NBD.CMD_DISC) break;
    const length = extended
      ? header.getBigUint64(24)
      : BigInt(header.getUint32(24));
    const hasPayload = extended
      ? (flags & NBD.CMD_FLAG_PAYLOAD_LEN) !== 0
      : command === NBD.CMD_WRITE;
    const request = {
      command,
      flags,
      cookie: header.getBigUint64(8),
      offset: header.getBigUint64(16),
      length,
    };
    if (!hasPayload || length === 0n) requests.push(request);
    else {
      if (extended && length > BigInt(PAYLOAD_MAX)) break;
      if (length > BigInt(sent.left)) break;
      requests.push({ ...request, payload: sent.take(Number(length)) });
    }
  }
  return requests;
}

function judgeError(
  request: RawRequest,
  reply: RawReply,
  agreement: Agreement,
): void {
  const { command, flags = 0 } = request;
  const rules = EXPORTS.get(agreement.exportName);
  check(rules !== undefined, "an export that there is not");
  const faults = faultsOf(request, agreement, rules);
  const allowed = faults.size > 0 ? faults : new Set([0]);
  if (faults.size === 0 && rules.mayFail && CHANGES.includes(command)) {
    allowed.add(NBD.ESHUTDOWN).add(NBD.ENOSPC);
  }
  const fast = (flags & NBD.CMD_FLAG_FAST_ZERO) !== 0;
  if (fast && command === NBD.CMD_WRITE_ZEROES) allowed.add(NBD.ENOTSUP);
  check(
    allowed.has(reply.errno),
    `${agreement.dialect} command ${command}, flags ${flags}, ` +
      `${request.offset}+${request.length}: error ${reply.errno}, ` +
      `not ${[...allowed]} (${reply.text})`,
  );
}

/** The errors that a request deserves; any of them will do. */
function faultsOf(
  request: RawRequest,
  agreement: Agreement,
  rules: ExportRules,
): Set<number> {
  const { command, flags = 0, payload } = request;
  const faults = new Set<number>();
  const known = knownFlags(command, agreement);
  if (known === undefined || (flags & ~known) !== 0) faults.add(NBD.EINVAL);
  const isStatus = command === NBD.CMD_BLOCK_STATUS;
  const length = isStatus && payload !== undefined
    ? filteredLength(payload, agreement)
    : BigInt(request.length ?? 0);
  if (isStatus && (agreement.contexts.length === 0 || length === 0n)) {
    faults.add(NBD.EINVAL);
  }
  if (length === undefined) return faults.add(NBD.EINVAL);
  const extended = agreement.dialect === "extended";
  if (command === NBD.CMD_WRITE) {
    if (extended && (flags & NBD.CMD_FLAG_PAYLOAD_LEN) === 0) {
      faults.add(NBD.EINVAL);
    }
    if (length > BigInt(PAYLOAD_MAX)) faults.add(NBD.EINVAL);
  }
  if (command === NBD.CMD_READ && length > BigInt(PAYLOAD_MAX)) {
    faults.add(NBD.EOVERFLOW);
  }
  addOffers(faults, request, agreement, rules);
  const offset = BigInt(request.offset ?? 0);
  if (command === NBD.CMD_FLUSH) {
    if (offset !== 0n || length !== 0n) faults.add(NBD.EINVAL);
  } else if (offset + length > BigInt(rules.size)) {
    const writes = command === NBD.CMD_WRITE ||
      command === NBD.CMD_WRITE_ZEROES;
    faults.add(writes ? NBD.ENOSPC : NBD.EINVAL);
  }
  return faults;
}

/** Adds errors of what the export does not offer. */
function addOffers(
  faults: Set<number>,
  { command, flags = 0 }: RawRequest,
  agreement: Agreement,
  rules: ExportRules,
): void {
  if (rules.readOnly && CHANGES.includes(command)) faults.add(NBD.EPERM);
  if (rules.readOnly) return;
  const trims = (agreement.flags & FLAG_SEND_TRIM) !== 0;
  if (command === NBD.CMD_TRIM && !trims) faults.add(NBD.EINVAL);
  const isFast = command === NBD.CMD_WRITE_ZEROES &&
    (flags & NBD.CMD_FLAG_FAST_ZERO) !== 0;
  const offered = (agreement.flags & FLAG_SEND_FAST_ZERO) !== 0;
  if (isFast && !offered) faults.add(NBD.EINVAL);
}

function knownFlags(
  command: number,
  { dialect }: Agreement,
): number | undefined {
  const known = FLAG_KNOWN[command];
  if (known === undefined) return undefined;
  const more = dialect === "extended" &&
      (command === NBD.CMD_WRITE || command === NBD.CMD_BLOCK_STATUS)
    ? NBD.CMD_FLAG_PAYLOAD_LEN
    : 0;
  const whole = dialect !== "simple" && command === NBD.CMD_READ
    ? NBD.CMD_FLAG_DF
    : 0;
  return known | more | whole;
}

/** The length in the payload of a BLOCK_STATUS; nothing if it is wrong. */
function filteredLength(
  payload: Uint8Array,
  { contexts }: Agreement,
): bigint | undefined {
  const count = (payload.length - 8) / 4;
  if (!Number.isInteger(count) || count < 1) return undefined;
  const view = new DataView(
    payload.buffer,
    payload.byteOffset,
    payload.byteLength,
  );
  const ids = new Set<number>();
  for (let i = 0; i < count; i++) ids.add(view.getUint32(8 + 4 * i));
  if (ids.size < count) return undefined;
  if ([...ids].some((id) => !contexts.includes(id))) return undefined;
  return view.getBigUint64(0);
}
