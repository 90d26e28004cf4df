/**
 * A remote disk: a block device over one or more NBD exports of the same disk.
 *
 * A lost connection loses nothing. Requests without a reply are sent again, in
 * order; and everything that was written since the last good flush is written
 * again, because a server that restarts may have lost what it had acknowledged.
 *
 * @module
 */

import { joinParts } from "../../device/block/mod.ts";
import type {
  BlockDevice,
  Completion,
  DeviceCapabilities,
  Extent,
  WriteOptions,
  WriteZeroesOptions,
} from "../../device/block/mod.ts";
import { assert, VirstorError } from "../../errors.ts";
import {
  COMMAND_READ,
  EXPORT_READ_ONLY,
  EXPORT_SEND_FAST_ZERO,
  EXPORT_SEND_TRIM,
} from "../wire/mod.ts";
import { readStatus } from "./block_status.ts";
import { type NbdExportInfo, parseNbdUri } from "./connection/mod.ts";
import { type NbdDiskStatus, statusOf } from "./disk_status.ts";
import { Dispatcher } from "./dispatcher.ts";
import { drained } from "./drained.ts";
import { firstOpened } from "./first_opened.ts";
import { Keeper } from "./keeper.ts";
import { Mutations } from "./mutations.ts";
import {
  type NbdDiskOptions,
  type NbdWriteOptions,
  type Settings,
  settingsOf,
} from "./options.ts";
import { pieces } from "./pieces.ts";
import { Command } from "./requests/mod.ts";
import { RoundTrips } from "./round_trips.ts";
import { Unflushed } from "./unflushed.ts";

/** How long `suspend` waits for requests in flight, milliseconds. */
const SUSPEND_MS = 30_000;
/** How long `close` waits for requests in flight, milliseconds. */
const CLOSE_MS = 5000;

/** A remote disk. */
export class NbdDisk implements BlockDevice {
  /** Size of the disk, bytes. */
  readonly size: number;
  /** Smallest unit of a request: 1, since parts of blocks are padded. */
  readonly blockSize: number = 1;
  /** What the server supports. */
  readonly capabilities: DeviceCapabilities;
  /** The export, as its server described it first. */
  readonly info: NbdExportInfo;
  /** @internal The options, with their defaults. */
  readonly settings: Settings;
  readonly #dispatcher: Dispatcher;
  readonly #unflushed: Unflushed;
  readonly #keeper: Keeper;
  readonly #mutations: Mutations;
  readonly #trips: RoundTrips;
  #suspended = false;
  #closing: Promise<void> | undefined;

  private constructor(
    settings: Settings,
    dispatcher: Dispatcher,
    unflushed: Unflushed,
    keeper: Keeper,
    mutations: Mutations,
    trips: RoundTrips,
  ) {
    const { info } = keeper;
    this.settings = settings;
    this.#dispatcher = dispatcher;
    this.#unflushed = unflushed;
    this.#keeper = keeper;
    this.#mutations = mutations;
    this.#trips = trips;
    this.info = info;
    this.size = info.size;
    const readOnly = settings.readOnly || (info.flags & EXPORT_READ_ONLY) !== 0;
    this.capabilities = {
      readOnly,
      discard: !readOnly && (info.flags & EXPORT_SEND_TRIM) !== 0,
      fastZeroes: !readOnly && (info.flags & EXPORT_SEND_FAST_ZERO) !== 0,
    };
  }

  /**
   * Connects to a disk.
   *
   * @param uris URI of the export, or several of the same disk, in the order in
   *   which they are to be tried.
   * @param options Options of the disk.
   * @returns The disk.
   * @throws {VirstorError} If no path leads to a usable server: `io` if it
   *   cannot be reached, `not-found` without the export, `invalid` for a
   *   malformed URI or a refused certificate, `unsupported` without FLUSH. The
   *   reason of the signal, if that ends the attempts.
   */
  static async connect(
    uris: string | readonly string[],
    options: NbdDiskOptions = {},
  ): Promise<NbdDisk> {
    const paths = [uris].flat().map(parseNbdUri);
    const settings = settingsOf(options, paths.length);
    const dispatcher = new Dispatcher(settings.coalesceBytes);
    const trips = new RoundTrips();
    // Nothing presses before the disk is open.
    let onPressure = () => {};
    const { unflushedBytes } = settings;
    const unflushed = new Unflushed(unflushedBytes, () => onPressure());
    const keeper = new Keeper(
      paths,
      settings,
      dispatcher,
      unflushed,
      (ms) => trips.add(ms),
    );
    try {
      await firstOpened(keeper, options.signal);
    } catch (error) {
      await keeper.close();
      throw error;
    }
    const mutations = new Mutations({
      info: keeper.info,
      dispatcher,
      unflushed,
      countsKept: settings.countsKept,
      onFlushFailed: (error) => keeper.restart(error),
    });
    onPressure = () => void mutations.makeRoom();
    return new NbdDisk(
      settings,
      dispatcher,
      unflushed,
      keeper,
      mutations,
      trips,
    );
  }

  /** A promise while writes wait for a flush to make room; it never rejects. */
  get congestion(): Promise<void> | undefined {
    return this.#unflushed.waiting === 0
      ? undefined
      : this.#mutations.makeRoom();
  }

  /**
   * Reads bytes.
   *
   * @param target Buffer that receives the bytes.
   * @param offset First byte of the range.
   * @returns The end of the read.
   */
  read(target: Uint8Array, offset: number): Completion {
    this.#check(offset, target.length);
    if (target.length === 0) return undefined;
    const { minimumBlock, maximumPayload } = this.info;
    const start = offset - offset % minimumBlock;
    const end = Math.ceil((offset + target.length) / minimumBlock) *
      minimumBlock;
    const isPadded = end - start !== target.length;
    const whole = isPadded ? new Uint8Array(end - start) : target;
    const range = { offset: start, length: whole.length };
    const reading = whole.length <= maximumPayload
      ? this.#readPiece(whole, start)
      : joinParts(pieces(range, maximumPayload, minimumBlock), (piece) => {
        const at = piece.offset - start;
        const part = whole.subarray(at, at + piece.length);
        return this.#readPiece(part, piece.offset);
      });
    if (!isPadded) return reading;
    return reading?.then(() => {
      target.set(
        whole.subarray(offset - start, offset - start + target.length),
      );
    });
  }

  /**
   * Writes bytes.
   *
   * @param source The bytes.
   * @param offset First byte of the range.
   * @param options Options of the write.
   * @returns The end of the write.
   */
  write(
    source: Uint8Array,
    offset: number,
    options: NbdWriteOptions = {},
  ): Completion {
    this.#checkWrite(offset, source.length);
    if (source.length === 0 && !options.fua) return undefined;
    return this.#mutations.write(source, offset, options);
  }

  /**
   * Makes every write durable that was done before this call.
   *
   * @returns The end of the flush.
   */
  flush(): Completion {
    this.#check(0, 0);
    if (this.capabilities.readOnly) return undefined;
    return this.#mutations.flush();
  }

  /**
   * Discards a range; without TRIM the range is zeroed.
   *
   * @param offset First byte of the range.
   * @param length Bytes of the range.
   * @param options Options of the write.
   * @returns The end of the discard.
   */
  discard(
    offset: number,
    length: number,
    options: WriteOptions = {},
  ): Completion {
    this.#checkWrite(offset, length);
    return this.#mutations.discard(offset, length, options);
  }

  /**
   * Zeroes a range.
   *
   * @param offset First byte of the range.
   * @param length Bytes of the range.
   * @param options Options of the write of zeroes.
   * @returns The end of the write.
   */
  writeZeroes(
    offset: number,
    length: number,
    options: WriteZeroesOptions = {},
  ): Completion {
    this.#checkWrite(offset, length);
    return this.#mutations.writeZeroes(offset, length, options);
  }

  /**
   * Describes the whole range as data: the server would have to be asked, see
   * {@linkcode blockStatus}.
   *
   * @param offset First byte of the range.
   * @param length Bytes of the range, above 0.
   * @returns One run.
   */
  extents(offset: number, length: number): Extent[] {
    this.#check(offset, length);
    return [{ length, kind: "data" }];
  }

  /**
   * Asks the server which parts of a range are data, holes or zeroes.
   *
   * @param offset First byte of the range.
   * @param length Bytes of the range, above 0.
   * @returns Runs that cover the range; one run of data if the server does not
   *   tell.
   */
  async blockStatus(offset: number, length: number): Promise<Extent[]> {
    this.#check(offset, length);
    return await readStatus(this.#dispatcher, this.info, offset, length);
  }

  /**
   * Holds all requests, and waits for those in flight.
   *
   * @param timeoutMs Milliseconds to wait.
   * @throws {VirstorError} `busy` if requests are still in flight then; the disk
   *   is not suspended.
   */
  async suspend(timeoutMs: number = SUSPEND_MS): Promise<void> {
    this.#check(0, 0);
    if (this.#suspended) return;
    this.#suspended = true;
    this.#dispatcher.freezes.freeze("suspended");
    if (await drained(() => this.#dispatcher.inFlight, timeoutMs)) return;
    this.resume();
    throw new VirstorError(
      "busy",
      `Cannot suspend "${this.#keeper.path}": requests are still in flight ` +
        `after ${timeoutMs} ms`,
    );
  }

  /** Sends requests again. */
  resume(): void {
    if (!this.#suspended) return;
    this.#suspended = false;
    this.#dispatcher.freezes.thaw("suspended");
    this.#dispatcher.pump();
  }

  /**
   * The state of the disk.
   *
   * @returns The state now.
   */
  status(): NbdDiskStatus {
    return statusOf(this.#state(), {
      dispatcher: this.#dispatcher,
      unflushed: this.#unflushed,
      keeper: this.#keeper,
      trips: this.#trips,
    });
  }

  /**
   * Changes how long requests wait for a connection. Those that have failed
   * since there was one do not come back.
   *
   * @param ms Milliseconds; 0: for ever.
   */
  stallAfter(ms: number): void {
    if (this.#closing === undefined) this.#keeper.stallAfter(ms || undefined);
  }

  /**
   * Closes the disk. Requests in flight are finished, if there is a connection;
   * nothing is flushed. Idempotent.
   *
   * @param waitMs How long they may take, milliseconds; 0: they fail.
   * @returns The end of the close.
   */
  close(waitMs: number = CLOSE_MS): Completion {
    this.#closing ??= this.#close(waitMs);
    return this.#closing;
  }

  /** Closes the disk. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #readPiece(target: Uint8Array, offset: number): Promise<void> {
    const fields = { command: COMMAND_READ, offset, target };
    return this.#dispatcher.submit(new Command(fields));
  }

  async #close(waitMs: number): Promise<void> {
    if (!this.#dispatcher.freezes.isFrozen) {
      const pending = () => this.#dispatcher.inFlight + this.#dispatcher.queued;
      await drained(pending, waitMs);
    }
    const error = this.#closedError();
    this.#dispatcher.refuse(error);
    this.#mutations.end();
    this.#unflushed.failWaiters(error);
    await this.#keeper.close();
  }

  #state(): NbdDiskStatus["state"] {
    if (this.#closing !== undefined) return "closed";
    if (this.#keeper.stopped !== undefined) return "failed";
    if (this.#dispatcher.freezes.has("connecting")) return "connecting";
    return this.#suspended ? "suspended" : "connected";
  }

  #closedError(): VirstorError {
    return new VirstorError(
      "io",
      `Cannot use "${this.info.uri}": it is closed`,
    );
  }

  #checkWrite(offset: number, length: number): void {
    this.#check(offset, length);
    if (!this.capabilities.readOnly) return;
    throw new VirstorError(
      "read-only",
      `Cannot write to "${this.info.uri}": ` +
        (this.settings.readOnly
          ? "it is open read-only"
          : "the server says that it is read-only"),
    );
  }

  #check(offset: number, length: number): void {
    if (this.#closing !== undefined) throw this.#closedError();
    assert(
      Number.isSafeInteger(offset) && offset >= 0 && length >= 0 &&
        length <= this.size - offset,
      "a request lies inside the remote disk",
    );
  }
}
