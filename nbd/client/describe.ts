/**
 * Describes the exports of a server.
 *
 * @module
 */

import { VirstorError } from "../../errors.ts";
import {
  EXPORT_CAN_MULTI_CONN,
  EXPORT_READ_ONLY,
  EXPORT_ROTATIONAL,
  EXPORT_SEND_CACHE,
  EXPORT_SEND_DF,
  EXPORT_SEND_FAST_ZERO,
  EXPORT_SEND_FLUSH,
  EXPORT_SEND_FUA,
  EXPORT_SEND_TRIM,
  EXPORT_SEND_WRITE_ZEROES,
} from "../wire/mod.ts";
import {
  type ConnectionOptions,
  listContexts,
  type ListedExport,
  listExports,
  type NbdClientTls,
  type NbdExportInfo,
  type NbdUri,
  noAnswer,
  parseNbdUri,
  uriError,
} from "./connection/mod.ts";
import { NbdDisk } from "./nbd_disk.ts";

/** What an export can do, and is, under the names that nbdinfo uses. */
export interface NbdExportFeatures {
  /** Whether seeks cost time. */
  readonly isRotational: boolean;
  /** Whether writes are refused. */
  readonly isReadOnly: boolean;
  /** Whether CACHE is supported. */
  readonly canCache: boolean;
  /** Whether DF is supported. */
  readonly canDf: boolean;
  /** Whether FAST_ZERO is supported. */
  readonly canFastZero: boolean;
  /** Whether FLUSH is supported. */
  readonly canFlush: boolean;
  /** Whether FUA is supported. */
  readonly canFua: boolean;
  /** Whether several connections are consistent. */
  readonly canMultiConn: boolean;
  /** Whether TRIM is supported. */
  readonly canTrim: boolean;
  /** Whether WRITE_ZEROES is supported. */
  readonly canZero: boolean;
}

/** Options of {@linkcode describeExport} and {@linkcode listNbdExports}. */
export interface DescribeOptions {
  /** Certificates. Default: those that the URI names. */
  readonly tls?: NbdClientTls;
  /** Milliseconds for one connection and its handshake. Default: 10000. */
  readonly timeoutMs?: number;
}

const TIMEOUT_MS = 10_000;

/**
 * Names what the transmission flags of an export say.
 *
 * @param info The export.
 * @returns Its features.
 */
export function featuresOf({ flags }: NbdExportInfo): NbdExportFeatures {
  const has = (flag: number) => (flags & flag) !== 0;
  return {
    isRotational: has(EXPORT_ROTATIONAL),
    isReadOnly: has(EXPORT_READ_ONLY),
    canCache: has(EXPORT_SEND_CACHE),
    canDf: has(EXPORT_SEND_DF),
    canFastZero: has(EXPORT_SEND_FAST_ZERO),
    canFlush: has(EXPORT_SEND_FLUSH),
    canFua: has(EXPORT_SEND_FUA),
    canMultiConn: has(EXPORT_CAN_MULTI_CONN),
    canTrim: has(EXPORT_SEND_TRIM),
    canZero: has(EXPORT_SEND_WRITE_ZEROES),
  };
}

/**
 * Describes one export, with all its metadata contexts.
 *
 * @param uri URI of the export.
 * @param options Certificates, and how long to wait.
 * @returns The export.
 * @throws {VirstorError} If the server cannot be reached or used.
 */
export async function describeExport(
  uri: string,
  options: DescribeOptions = {},
): Promise<NbdExportInfo> {
  const { tls, timeoutMs = TIMEOUT_MS } = options;
  const disk = await NbdDisk.connect(uri, {
    readOnly: true,
    connections: 1,
    connectTimeoutMs: timeoutMs,
    ...tls !== undefined && { tls },
  });
  await disk.close();
  const { info } = disk;
  if (info.style !== "fixed newstyle") return info;
  const contexts = await ask(uri, options, "describe", listContexts);
  return { ...info, contexts };
}

/**
 * Lists the exports of a server.
 *
 * @param uri A URI of the server; the export in it does not matter.
 * @param options Certificates, and how long to wait.
 * @returns Names and descriptions, in the server's order.
 * @throws {VirstorError} `unsupported` if the server does not list exports.
 */
export function listNbdExports(
  uri: string,
  options: DescribeOptions = {},
): Promise<ListedExport[]> {
  return ask(uri, options, "list the exports of", listExports);
}

async function ask<T>(
  text: string,
  { tls, timeoutMs = TIMEOUT_MS }: DescribeOptions,
  action: string,
  question: (uri: NbdUri, options: ConnectionOptions) => Promise<T>,
): Promise<T> {
  const uri = parseNbdUri(text);
  const limit = new AbortController();
  const timer = setTimeout(
    () => limit.abort(noAnswer(timeoutMs)),
    timeoutMs,
  );
  try {
    return await question(uri, { tls, signal: limit.signal });
  } catch (error) {
    if (!(error instanceof VirstorError)) throw error;
    throw uriError(action, uri.text, error);
  } finally {
    clearTimeout(timer);
  }
}
