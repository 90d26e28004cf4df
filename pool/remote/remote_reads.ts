/**
 * Reads of a remote component: of the changes that wait for room, of the journal,
 * and of the far side, whichever has the newest content.
 *
 * @module
 */

import { type Completion, joinParts } from "../../device/block/mod.ts";
import { JOURNAL_WRITE } from "../../metadata/journal/mod.ts";
import type { Changes, WaitingChange } from "./changes.ts";
import type { FarDisk } from "./far_disk.ts";
import type { Journal } from "./journal.ts";
import type { JournalRecord, Span } from "./journal_record.ts";
import type { Overlay, OverlayPart } from "./overlay.ts";

/** A range whose newest content is in one place. */
type Part = OverlayPart<JournalRecord | WaitingChange>;

/** Where the content is. */
export interface RemoteReadsOptions {
  /** The far side. */
  readonly far: Pick<FarDisk, "read">;
  /** The journal. */
  readonly journal: Journal;
  /** What of the journal is newer than on the far side. */
  readonly overlay: Overlay;
  /** The changes that wait for room, and the end that is kept in memory. */
  readonly changes: Pick<Changes, "kept" | "waiting">;
}

/** The reads of a remote component. */
export class RemoteReads {
  readonly #options: RemoteReadsOptions;

  /**
   * Prepares the reads.
   *
   * @param options Where the content is.
   */
  constructor(options: RemoteReadsOptions) {
    this.#options = options;
  }

  /**
   * Fills `target`.
   *
   * @param target The buffer to fill.
   * @param offset The first byte on the component.
   * @returns A promise while the far side, or the disk of the journal, is asked.
   * @throws {VirstorError} `io`.
   */
  read(target: Uint8Array, offset: number): Completion {
    if (this.#isKept(target, offset)) return undefined;
    if (this.#isFar(target, offset)) {
      return this.#options.far.read(target, offset);
    }
    const parts = this.#parts({ start: offset, end: offset + target.length });
    const [first] = parts;
    if (first !== undefined && parts.length === 1) {
      return this.#readPart(first, target);
    }
    return joinParts(
      parts,
      (part) =>
        this.#readPart(
          part,
          target.subarray(part.start - offset, part.end - offset),
        ),
    );
  }

  /**
   * Fills `target` from one place in memory or in the page cache.
   *
   * @param target The buffer to fill from its start.
   * @param offset The first byte on the component.
   * @returns Bytes that were read; 0 if there is more than one place.
   * @throws {VirstorError} `io`.
   */
  readCached(target: Uint8Array, offset: number): number {
    const { length } = target;
    if (this.#isKept(target, offset)) return length;
    if (this.#isFar(target, offset)) return 0;
    const [part, another] = this.#parts({
      start: offset,
      end: offset + length,
    });
    if (part?.record === undefined || another !== undefined) return 0;
    const { record } = part;
    if ("kind" in record && record.kind === JOURNAL_WRITE) {
      return this.#options.journal.readCached(record, offset, target);
    }
    fillFrom(record, offset, target);
    return length;
  }

  /** Fills `target` if it is kept in memory; returns whether it is. */
  #isKept(target: Uint8Array, offset: number): boolean {
    const { kept } = this.#options.changes;
    if (kept?.has(offset, target.length) !== true) return false;
    kept.read(target, offset);
    return true;
  }

  /** Whether only the far side has the newest content: of most reads it has. */
  #isFar({ length }: Uint8Array, offset: number): boolean {
    const { changes: { waiting }, overlay } = this.#options;
    return waiting.isEmpty && !overlay.touches(offset, offset + length);
  }

  /** Where the newest content of a range is. */
  #parts(span: Span): Part[] {
    const { changes: { waiting }, overlay } = this.#options;
    if (waiting.isEmpty) return overlay.parts(span);
    return waiting.parts(span).flatMap((part): Part[] =>
      part.record === undefined ? overlay.parts(part) : [part]
    );
  }

  #readPart({ start, record }: Part, target: Uint8Array): Completion {
    const { far, journal } = this.#options;
    if (record === undefined) return far.read(target, start);
    if (!("kind" in record) || record.kind !== JOURNAL_WRITE) {
      fillFrom(record, start, target);
      return undefined;
    }
    return journal.read(record, start, target)?.then(async () => {
      // Meanwhile the space may have become that of another record.
      if (!journal.holds(record)) await this.read(target, start);
    });
  }
}

/**
 * Reads, in a promise in any case. It is no async function: those take three
 * promises for one, for each read.
 *
 * @param device What is read.
 * @param target The buffer to fill.
 * @param offset The first byte, of all of the buffer.
 * @param done Bytes of the buffer that are there.
 * @returns The end of the read.
 */
export function readLater(
  device: Pick<FarDisk, "read">,
  target: Uint8Array,
  offset: number,
  done: number,
): Promise<void> {
  try {
    const rest = done === 0 ? target : target.subarray(done);
    return device.read(rest, offset + done) ?? Promise.resolve();
  } catch (error) {
    return Promise.reject(error);
  }
}

/** Fills a buffer with a part of a change that waits, or with zeroes. */
function fillFrom(
  record: JournalRecord | WaitingChange,
  start: number,
  target: Uint8Array,
): void {
  const bytes = "kind" in record ? undefined : record.bytes;
  if (bytes === undefined) {
    target.fill(0);
    return;
  }
  const from = start - record.offset;
  target.set(bytes.subarray(from, from + target.length));
}
