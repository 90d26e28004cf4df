/**
 * A component on another machine that is only read: its pool is open read-only,
 * or it is not known yet whether it belongs to a pool. What the journal of its
 * owner holds, if that is on this machine, is part of what is read.
 *
 * @module
 */

import {
  type Completion,
  type DeviceCapabilities,
  type Extent,
  joinParts,
} from "../../device/block/mod.ts";
import type { FileDevice, FlushObserver } from "../../device/file/mod.ts";
import { VirstorError } from "../../errors.ts";
import {
  JOURNAL_RECORD_SIZE,
  JOURNAL_WRITE,
} from "../../metadata/journal/mod.ts";
import type { ComponentDevice, RemoteStatus } from "../core/mod.ts";
import type { JournalRecord } from "./journal_record.ts";
import { KeptTail } from "./kept_tail.ts";
import { Overlay, type OverlayPart } from "./overlay.ts";
import type { ConnectedDisk } from "./remote_components.ts";
import { remoteStatusOf } from "./status_of.ts";

/** What an owner has left on this machine. */
export interface LeftJournal {
  /** The file, open and locked. */
  readonly device: FileDevice;
  /** What the far side may lack, oldest first. */
  readonly records: readonly JournalRecord[];
}

/** What a reader is made of. */
export interface RemoteReaderOptions {
  /** The URIs, without passwords. */
  readonly path: string;
  /** The far side. The reader closes it. */
  readonly far: ConnectedDisk;
  /** What its owner has left. The reader closes it. */
  readonly journal: LeftJournal | undefined;
  /** Takes the ownership; undefined if the component stays read-only. */
  readonly claim: (() => Promise<ComponentDevice>) | undefined;
}

/** A component on another machine that is only read. */
export class RemoteReader implements ComponentDevice {
  /** The URIs, without passwords. */
  readonly path: string;
  /** Equal for two devices if they are the same component. */
  readonly identity: string;
  /** Bytes. */
  readonly size: number;
  /** Requests may start and end at any byte. */
  readonly blockSize = 1;
  /** Reads may come later. */
  readonly isRemote = true;
  /** It takes no changes. */
  readonly capabilities: DeviceCapabilities = {
    readOnly: true,
    discard: false,
    fastZeroes: false,
  };
  /** Never called: nothing is written. */
  observer: FlushObserver | undefined;
  /** Takes the ownership. */
  readonly claim?: () => Promise<ComponentDevice>;
  readonly #far: ConnectedDisk;
  readonly #journal: LeftJournal | undefined;
  readonly #overlay = new Overlay();
  #kept: KeptTail | undefined;
  #isClaimed = false;

  /**
   * Creates a reader.
   *
   * @param options What it is made of.
   */
  constructor({ path, far, journal, claim }: RemoteReaderOptions) {
    this.path = path;
    this.identity = path;
    this.size = far.size;
    this.#far = far;
    this.#journal = journal;
    for (const record of journal?.records ?? []) this.#overlay.add(record);
    if (claim !== undefined) {
      this.claim = async () => {
        const component = await claim();
        // The far side is that of the component now.
        this.#isClaimed = true;
        return component;
      };
    }
  }

  /**
   * Reads the end of the component once, so that reads there finish at once.
   *
   * @param start The first byte.
   */
  async keep(start: number): Promise<void> {
    const kept = new KeptTail(start, this.size);
    await kept.load(async (target, offset) => await this.read(target, offset));
    this.#kept = kept;
  }

  /**
   * Fills `target`.
   *
   * @param target The buffer to fill.
   * @param offset The offset of the first byte.
   * @returns A promise unless the range is kept.
   * @throws {VirstorError} `io`.
   */
  read(target: Uint8Array, offset: number): Completion {
    if (this.#kept?.has(offset, target.length) === true) {
      this.#kept.read(target, offset);
      return undefined;
    }
    const range = { start: offset, end: offset + target.length };
    return joinParts(this.#overlay.parts(range), (part) => {
      const { start, end } = part;
      return this.#readPart(
        part,
        target.subarray(start - offset, end - offset),
      );
    });
  }

  /**
   * Reads what is kept.
   *
   * @param target The buffer to fill from its start.
   * @param offset The offset of the first byte.
   * @returns All bytes, or none.
   */
  readCached(target: Uint8Array, offset: number): number {
    if (this.#kept?.has(offset, target.length) !== true) return 0;
    this.#kept.read(target, offset);
    return target.length;
  }

  /**
   * Fills `target`, for which the far side may have to be asked.
   *
   * @param target The buffer to fill.
   * @param offset The offset of the first byte.
   * @param done Bytes at the start of `target` that are there already.
   */
  async readCold(target: Uint8Array, offset: number, done = 0): Promise<void> {
    await this.read(target.subarray(done), offset + done);
  }

  /** Refuses. */
  write(): never {
    throw this.#readOnly();
  }

  /** Refuses. */
  discard(): never {
    throw this.#readOnly();
  }

  /** Refuses. */
  writeZeroes(): never {
    throw this.#readOnly();
  }

  /** Has nothing to do. */
  flush(): Completion {
    return undefined;
  }

  /**
   * Describes the range as data: the far side would have to be asked.
   *
   * @param _offset First byte of the range.
   * @param length Bytes of the range.
   * @returns One run.
   */
  extents(_offset: number, length: number): Extent[] {
    return length === 0 ? [] : [{ length, kind: "data" }];
  }

  /**
   * The state of the connection.
   *
   * @returns The state now.
   */
  remoteStatus(): RemoteStatus {
    return remoteStatusOf(this.path, this.#far.status?.(), {
      journal: undefined,
      delayedWrites: 0,
      failure: "",
    });
  }

  /**
   * Closes the connection and the journal, unless the component that was claimed
   * has taken them over.
   *
   * @returns Done when they are closed.
   */
  async close(): Promise<void> {
    if (this.#isClaimed) return;
    await this.#far.close();
    await this.#journal?.device.close();
  }

  /** Closes the device, at the end of an `await using` block. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #readPart({ start, record }: OverlayPart, target: Uint8Array): Completion {
    if (record === undefined) return this.#far.read(target, start);
    if (record.kind !== JOURNAL_WRITE) {
      target.fill(0);
      return undefined;
    }
    const within = start - record.offset;
    const at = record.position + JOURNAL_RECORD_SIZE + within;
    return this.#journal?.device.read(target, at);
  }

  #readOnly(): VirstorError {
    const message = `Cannot write to "${this.path}": it is open read-only`;
    return new VirstorError("read-only", message);
  }
}
