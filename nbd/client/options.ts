/**
 * Configuration of a remote disk.
 *
 * @module
 */

import type { KeptBytes, WriteOptions } from "../../device/block/mod.ts";
import { assert, VirstorError } from "../../errors.ts";
import { BACK_OFF_DEFAULT, type BackOffOptions } from "./back_off.ts";
import type { NbdClientTls } from "./connection/mod.ts";
import { DEPTH_MAX } from "./requests/mod.ts";

/**
 * An event in the life of a remote disk:
 *
 * - `connected`: connected, at first or again
 * - `lost`: a connection ended, or a server broke the protocol
 * - `replayed`: what the server may have lost is written again
 * - `retry`: an attempt to connect failed
 * - `passed`: a path leads to another disk, which is left alone
 * - `away`: the stall timeout is over; requests fail until the next connection
 * - `failed`: the disk stopped for good, because its far side has changed
 */
export interface NbdDiskEvent {
  /** The kind of event. */
  readonly kind:
    | "away"
    | "connected"
    | "failed"
    | "lost"
    | "passed"
    | "replayed"
    | "retry";
  /** One line, without passwords. */
  readonly message: string;
}

/**
 * Reads from a new connection, before anything is written to it.
 *
 * @param offset First byte.
 * @param length Number of bytes.
 * @returns The bytes.
 */
export type NbdIdentityRead = (
  offset: number,
  length: number,
) => Promise<Uint8Array>;

/** Options of a remote disk. */
export interface NbdDiskOptions {
  /** Whether the disk refuses writes. Default: what the server says. */
  readonly readOnly?: boolean;
  /**
   * Connections at once, if the server can keep several consistent. Default: 4.
   */
  readonly connections?: number;
  /** Requests in flight on one connection, 1 to 4095. Default: 64. */
  readonly depth?: number;
  /**
   * Contiguous reads or writes that wait together leave as one request of up to
   * so many bytes; 0: never. Default: 256 KiB.
   */
  readonly coalesceBytes?: number;
  /**
   * Bytes of writes to keep until a flush makes them durable. At half of it the
   * disk flushes by itself; at the whole, writes wait. Default: 64 MiB; with
   * several paths 32 MiB.
   */
  readonly unflushedBytes?: number;
  /**
   * What becomes of requests while there is no connection: `stall` keeps them,
   * `fail` fails them. Default: `stall`.
   */
  readonly whileAway?: "fail" | "stall";
  /**
   * Milliseconds after which stalled requests fail, and others fail at once
   * until there is a connection again. Default: 0, never.
   */
  readonly stallTimeoutMs?: number;
  /**
   * Milliseconds to go on trying to connect at first. Default: 0, one attempt
   * on each path.
   */
  readonly openTimeoutMs?: number;
  /** Ends the attempts to connect at first; later it does nothing. */
  readonly signal?: AbortSignal;
  /**
   * Milliseconds for one connection and its handshake. Default: 10000; with
   * several paths 3000.
   */
  readonly connectTimeoutMs?: number;
  /**
   * Milliseconds without an answer, to a probe either, after which a connection
   * counts as lost. Default: 10000; with several paths 800.
   */
  readonly silenceMs?: number;
  /**
   * Milliseconds to wait, before anything is written again, until the server
   * has ended the lost connections, too: then it executes no request late. After
   * that time they are reset. Default: 1000; with several paths 500.
   */
  readonly fenceMs?: number;
  /**
   * Whether the disk stops for good when all its servers say that they have no
   * export of that name any more. Default: false, the export may come back, for
   * instance when its server has opened all of its disks.
   */
  readonly endsWithExport?: boolean;
  /** Waits between attempts to connect. Default: 100 ms to 10 s. */
  readonly backOff?: BackOffOptions;
  /**
   * Whether to accept a server that cannot flush. Nothing is ever known to be
   * durable there, and nothing is written again. Default: false.
   */
  readonly unsafeNoFlush?: boolean;
  /** Certificates, for all paths. Default: those that the URI names. */
  readonly tls?: NbdClientTls;
  /**
   * Identifies the disk behind a new connection. If the identity differs from
   * the first, the path leads to another disk: it is passed over, and the disk
   * stops if all paths do so. Default: nothing is compared but size and
   * capabilities.
   *
   * @param read Reads from the new connection.
   * @returns The identity, for instance a UUID.
   * @throws {VirstorError} `busy` if it is the disk, and is another's now: the
   *   disk stops at once.
   */
  readonly identify?: (read: NbdIdentityRead) => Promise<string>;
  /**
   * Called for each event.
   *
   * @param event The event.
   */
  readonly onEvent?: (event: NbdDiskEvent) => void;
  /**
   * The source of jitter. Default: `Math.random`.
   *
   * @returns A number from 0 to 1.
   */
  readonly random?: () => number;
}

/** Options of a write to a remote disk. */
export interface NbdWriteOptions extends WriteOptions {
  /**
   * Has the bytes until a flush has made them durable: then the disk keeps no
   * copy of them, and reads them there when it has to write them again. With
   * one path they do not count as unflushed.
   * *Requires*: the bytes do not change before the write is done.
   */
  readonly kept?: KeptBytes;
}

/** Options with their defaults. */
export interface Settings {
  readonly readOnly: boolean;
  readonly connections: number;
  readonly depth: number;
  readonly coalesceBytes: number;
  readonly unflushedBytes: number;
  /** Whether bytes that their caller keeps count: they are written again, too. */
  readonly countsKept: boolean;
  /** 0 fails at once; `undefined` never. */
  readonly stallMs: number | undefined;
  readonly openTimeoutMs: number;
  readonly connectTimeoutMs: number;
  /**
   * How long each path is tried at first after a loss, milliseconds; in each
   * further round twice as long, up to `connectTimeoutMs`.
   */
  readonly firstConnectMs: number;
  readonly silenceMs: number;
  readonly fenceMs: number;
  readonly endsWithExport: boolean;
  readonly backOff: BackOffOptions;
  readonly unsafeNoFlush: boolean;
  readonly tls: NbdClientTls | undefined;
  /** The metadata context; `base:allocation` without one. */
  readonly context?: string;
  readonly identify:
    | ((read: NbdIdentityRead) => Promise<string>)
    | undefined;
  readonly onEvent: (event: NbdDiskEvent) => void;
  readonly random: () => number;
}

/**
 * Silence of a path before another one is tried, milliseconds. With a fourth of
 * it more until it is noticed, and the fence, another path takes over within
 * 2 s. If the connection ends without silence, the first round takes less.
 */
const SILENCE_SEVERAL_MS = 800;
/** How long to wait for the end of lost connections, with several paths. */
const FENCE_SEVERAL_MS = 500;
/** The same, with one path, milliseconds. */
const FENCE_ONE_MS = 1000;
/** Silence before the only path is tried again, milliseconds. */
const SILENCE_ONE_MS = 10_000;
/** How long to try one of several paths, milliseconds. */
const CONNECT_SEVERAL_MS = 3000;
/** The same in the first round after a loss, milliseconds. */
const CONNECT_FIRST_MS = 700;
/** How long to try the only path, milliseconds. */
const CONNECT_ONE_MS = 10_000;
/** Bytes of writes to keep until a flush, with one path. */
const UNFLUSHED_ONE = 64 * 1024 * 1024;
/** The same with several: another one takes over when it has them again. */
const UNFLUSHED_SEVERAL = 32 * 1024 * 1024;
/** The longest request that contiguous ones are joined to, bytes. */
const COALESCE_BYTES = 256 * 1024;
/** The most connections at once. */
const CONNECTIONS_MAX = 64;

/**
 * Completes options, and checks them.
 *
 * @param options The options.
 * @param paths Number of paths.
 * @returns The settings.
 * @throws {VirstorError} `invalid` if a number is out of range.
 */
export function settingsOf(options: NbdDiskOptions, paths: number): Settings {
  assert(paths > 0, "a remote disk has a path");
  const { whileAway = "stall", stallTimeoutMs = 0 } = options;
  const connectTimeoutMs = options.connectTimeoutMs ??
    (paths > 1 ? CONNECT_SEVERAL_MS : CONNECT_ONE_MS);
  const settings = {
    readOnly: options.readOnly ?? false,
    connections: options.connections ?? 4,
    depth: options.depth ?? 64,
    coalesceBytes: options.coalesceBytes ?? COALESCE_BYTES,
    unflushedBytes: options.unflushedBytes ??
      (paths > 1 ? UNFLUSHED_SEVERAL : UNFLUSHED_ONE),
    countsKept: paths > 1,
    stallMs: whileAway === "fail" ? 0 : stallTimeoutMs || undefined,
    openTimeoutMs: options.openTimeoutMs ?? 0,
    connectTimeoutMs,
    firstConnectMs: paths > 1
      ? Math.min(CONNECT_FIRST_MS, connectTimeoutMs)
      : connectTimeoutMs,
    silenceMs: options.silenceMs ??
      (paths > 1 ? SILENCE_SEVERAL_MS : SILENCE_ONE_MS),
    fenceMs: options.fenceMs ??
      (paths > 1 ? FENCE_SEVERAL_MS : FENCE_ONE_MS),
    endsWithExport: options.endsWithExport ?? false,
    backOff: options.backOff ?? BACK_OFF_DEFAULT,
    unsafeNoFlush: options.unsafeNoFlush ?? false,
    tls: options.tls,
    identify: options.identify,
    onEvent: options.onEvent ?? (() => {}),
    random: options.random ?? Math.random,
  };
  check("connections", settings.connections, 1, CONNECTIONS_MAX);
  check("depth", settings.depth, 1, DEPTH_MAX);
  check("coalesceBytes", settings.coalesceBytes, 0, Infinity);
  check("unflushedBytes", settings.unflushedBytes, 1, Infinity);
  check("connectTimeoutMs", settings.connectTimeoutMs, 1, Infinity);
  check("silenceMs", settings.silenceMs, 1, Infinity);
  check("fenceMs", settings.fenceMs, 0, Infinity);
  return settings;
}

function check(name: string, value: number, least: number, most: number): void {
  if (value >= least && value <= most) return;
  throw new VirstorError(
    "invalid",
    `Cannot use option ${name}: ${value} is not ${least} to ${most}`,
  );
}
