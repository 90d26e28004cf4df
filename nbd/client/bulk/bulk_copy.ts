/**
 * Moves the data of a copy over several connections of its own, as long as all
 * goes well. At the first fault it ends all of them, and waits until the server
 * executes nothing of them any more; the remote disk does the rest, and does
 * again what may be lost.
 *
 * @module
 */

import { joinParts } from "../../../device/block/mod.ts";
import { NativeSocket } from "../../../device/linux/mod.ts";
import { VirstorError } from "../../../errors.ts";
import { EXPORT_CAN_MULTI_CONN, EXPORT_SEND_FLUSH } from "../../wire/mod.ts";
import {
  type NbdExportInfo,
  type NbdUri,
  parseNbdUri,
} from "../connection/mod.ts";
import { BulkLink, type Store } from "./bulk_link.ts";

/**
 * Bytes of a request. Fewer cost more calls of the system, more do not fit into
 * the caches of a processor.
 */
const REQUEST_BYTES = 1024 * 1024;
/**
 * Bytes that are written, before those of one connection are made durable. Tuned:
 * the disk of the server works while the copy goes on, and the flush at the end
 * waits for the last of them alone; fewer cost a slow disk more flushes.
 */
const FLUSH_EVERY = 64 * 1024 * 1024;
/** The same of a copy that need not be durable: what is noted of it is bounded. */
const FLUSH_AT_LAST = 4 * 1024 * 1024 * 1024;
/** Requests in flight on one connection: the next one waits in the system. */
const LINK_DEPTH = 4;
/** How long to try to connect, milliseconds. */
const CONNECT_MS = 3000;

/**
 * Tells whether this process can reach an export in this way.
 *
 * @param uri The URI of the export.
 * @returns True for a Unix socket without encryption, with native calls.
 */
export function canCarry(uri: NbdUri): boolean {
  return uri.socket !== "" && !uri.tls && NativeSocket.isAvailable;
}

/** A range of a disk. */
interface Range {
  readonly offset: number;
  readonly length: number;
}

/** What a copy is between. */
export interface BulkEnds {
  /** Descriptor of the file, open until the copy has ended. */
  readonly file: number;
  /** The export. */
  readonly info: NbdExportInfo;
  /**
   * Whether another connection leads to the same export.
   *
   * @param found What it leads to.
   */
  readonly isSame: (found: NbdExportInfo) => boolean;
  /** Whether the export is the target. */
  readonly writes: boolean;
  /** Whether what is written is to be durable at the end. */
  readonly isDurable: boolean;
  /** The most connections. */
  readonly connections: number;
  /** The longest wait for a reply, milliseconds. */
  readonly waitMs: number;
}

/** A connection, and what was written on it since its last flush. */
interface Lane {
  readonly link: BulkLink;
  written: Range[];
  writtenBytes: number;
}

/** Moves the data of one copy. */
export class BulkCopy {
  /** The most bytes to move at once. */
  readonly most: number;
  /** How many calls keep all connections busy. */
  readonly depth: number;
  /** Whether the export is the target. */
  readonly writes: boolean;
  readonly #file: number;
  readonly #info: NbdExportInfo;
  readonly #lanes: readonly Lane[];
  readonly #flushEvery: number;
  #ending: Promise<void> | undefined;

  private constructor(
    { file, info, writes, isDurable }: BulkEnds,
    links: readonly BulkLink[],
  ) {
    this.writes = writes;
    this.depth = LINK_DEPTH * links.length;
    this.#file = file;
    this.#info = info;
    this.#flushEvery = isDurable ? FLUSH_EVERY : FLUSH_AT_LAST;
    const { maximumPayload, minimumBlock } = info;
    const most = Math.min(REQUEST_BYTES, maximumPayload);
    this.most = most - most % minimumBlock;
    this.#lanes = links.map((link) => ({
      link,
      written: [],
      writtenBytes: 0,
    }));
  }

  /**
   * Connects, if the server keeps several connections consistent.
   *
   * @param ends What the copy is between.
   * @returns The copy; undefined if it needs the remote disk.
   */
  static async open(ends: BulkEnds): Promise<BulkCopy | undefined> {
    const { info, isSame, writes, connections, waitMs } = ends;
    const uri = parseNbdUri(info.uri);
    const needed = EXPORT_CAN_MULTI_CONN | (writes ? EXPORT_SEND_FLUSH : 0);
    if ((info.flags & needed) !== needed || !canCarry(uri)) return undefined;
    const signal = AbortSignal.timeout(CONNECT_MS);
    const links: BulkLink[] = [];
    await joinParts(Array.from({ length: connections }), async () => {
      const link = await BulkLink.open(uri, isSame, waitMs, signal);
      if (link !== undefined) links.push(link);
    });
    return links.length === 0 ? undefined : new BulkCopy(ends, links);
  }

  /**
   * Writes bytes of the file to the same place of the export.
   *
   * @param offset First byte of the range.
   * @param length Bytes of the range, at most {@linkcode most}.
   * @returns False if the remote disk has to write the range.
   */
  async write(offset: number, length: number): Promise<boolean> {
    const lane = this.#pick(offset, length);
    if (lane === undefined) return false;
    try {
      await lane.link.write(this.#file, offset, length);
    } catch {
      await this.#end();
      return false;
    }
    lane.written.push({ offset, length });
    lane.writtenBytes += length;
    if (lane.writtenBytes >= this.#flushEvery) await this.#flush(lane);
    return true;
  }

  /**
   * Reads bytes of the export.
   *
   * @param offset First byte of the range.
   * @param length Bytes of the range, at most {@linkcode most}.
   * @param store Takes the bytes.
   * @returns False if the remote disk has to read the range.
   * @throws What `store` throws.
   */
  async read(offset: number, length: number, store: Store): Promise<boolean> {
    const lane = this.#pick(offset, length);
    if (lane === undefined) return false;
    try {
      await lane.link.read(offset, length, store);
    } catch (error) {
      if (lane.link.failure === undefined) throw error;
      await this.#end();
      return false;
    }
    return true;
  }

  /**
   * Ends the copy.
   *
   * *Requires:* no call is in progress.
   *
   * @param isDurable Whether to make durable what was written.
   * @returns What the remote disk has to write again.
   * @throws {VirstorError} `io` if the server may still execute requests of this
   *   copy.
   */
  async close(isDurable: boolean): Promise<readonly Range[]> {
    if (isDurable && this.#ending === undefined) {
      await joinParts(this.#lanes, (lane) => this.#flush(lane));
    }
    if (this.#ending === undefined) {
      await joinParts(this.#lanes, ({ link }) => link.close());
      return [];
    }
    await this.#end();
    return this.#lanes.flatMap(({ written }) => written);
  }

  /** The connection with the fewest requests; undefined if none is to be used. */
  #pick(offset: number, length: number): Lane | undefined {
    const { minimumBlock } = this.#info;
    const isWhole = offset % minimumBlock === 0 && length % minimumBlock === 0;
    if (this.#ending !== undefined || !isWhole) return undefined;
    return this.#lanes.reduce((best, lane) =>
      lane.link.inFlight < best.link.inFlight ? lane : best
    );
  }

  /** Makes durable what one connection has written; ends all if that fails. */
  async #flush(lane: Lane): Promise<void> {
    if (lane.written.length === 0) return;
    // A flush covers what was answered before it.
    const before = lane.written;
    lane.written = [];
    lane.writtenBytes = 0;
    try {
      await lane.link.flush();
    } catch {
      lane.written.push(...before);
      await this.#end();
    }
  }

  #end(): Promise<void> {
    this.#ending ??= this.#endAll();
    return this.#ending;
  }

  async #endAll(): Promise<void> {
    let isEnded = true;
    await joinParts(this.#lanes, async ({ link }) => {
      if (!await link.end()) isEnded = false;
    });
    if (isEnded) return;
    throw new VirstorError(
      "io",
      `Cannot copy with "${this.#info.uri}": the server does not answer, and ` +
        "may still execute requests",
    );
  }
}
