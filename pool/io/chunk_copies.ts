/**
 * Copy on write: a write to a chunk that a snapshot sees goes to a new chunk,
 * with a copy of the rest.
 *
 * What is in the page cache is copied at once, for a slice; else the copy goes
 * on later, and further writes to the same virtual chunk wait for it. What is
 * copied never changes, but it may move, and the virtual chunk may get a chunk
 * of its own in the meantime. So after each wait the copy looks again.
 *
 * @module
 */

import { type Completion, Slice } from "../../device/block/mod.ts";
import {
  applied,
  type Component,
  finished,
  type ForwardMap,
  type HostSpaces,
  PIECE_STEP_BYTES,
  turn,
} from "../core/mod.ts";
import type { ChunkMapper } from "./chunk_mapper.ts";

/** The most bytes that are copied at a time. */
const PIECE_BYTES = 1 << 20;
/** Steps between two looks at the clock. */
const STEPS_A_LOOK = 1;
/** What copies share as long as they wait for nothing. */
const BUFFER = new Uint8Array(PIECE_BYTES);

/** A part of a chunk that is written after the copy. */
export interface CopyPiece {
  /** The offset of the first byte in the chunk. */
  readonly within: number;
  /** The bytes. */
  readonly source: Uint8Array;
}

/** What copies work with. */
export interface CopyParts {
  /** Bytes of a chunk. */
  readonly chunkSize: number;
  /** The map of the volume. */
  readonly map: ForwardMap;
  /** The free space of the host's file systems. */
  readonly hosts: HostSpaces;
  /** Maps the copies. */
  readonly mapper: ChunkMapper;
  /** Called when a copy has ended that had to wait. */
  readonly onEnd: () => void;
  /** Throws if no more is written. */
  readonly assertWritable: () => void;
}

/** A copy that is being made. */
interface ChunkCopy {
  readonly virtualChunk: number;
  /** Where it goes. */
  target: Component;
  /** The chunk there. */
  to: number;
  readonly ended: PromiseWithResolvers<void>;
  pieces: CopyPiece[];
  /** What is copied; undefined before the first look. */
  source: Component | undefined;
  /** The chunk there. */
  from: number;
  /** How many bytes of the chunk are done. */
  at: number;
  /** How often it began anew, because what is copied has moved. */
  restarts: number;
  /** Whether the next bytes have to be waited for. */
  isCold: boolean;
  /** Whether the entry of the target was written, or may have been. */
  isRecorded: boolean;
}

/** The copies of a volume. */
export class ChunkCopies {
  readonly #parts: CopyParts;
  readonly #copies = new Map<number, ChunkCopy>();

  /**
   * Creates an empty set.
   *
   * @param parts What the copies work with.
   */
  constructor(parts: CopyParts) {
    this.#parts = parts;
  }

  /** How many copies are being made; each has taken a chunk. */
  get size(): number {
    return this.#copies.size;
  }

  /**
   * Whether a copy of a virtual chunk is being made.
   *
   * @param virtualChunk The chunk.
   * @returns Whether there is one.
   */
  has(virtualChunk: number): boolean {
    return this.#copies.has(virtualChunk);
  }

  /**
   * Adds a write to a copy that is being made.
   *
   * @param virtualChunk The chunk; {@linkcode has} returns true.
   * @param piece What to write; its bytes are the caller's again at return.
   * @returns Settles with the copy.
   */
  join(virtualChunk: number, piece: CopyPiece): Completion {
    const copy = this.#copies.get(virtualChunk);
    copy?.pieces.push(kept(piece));
    return copy?.ended.promise;
  }

  /**
   * Begins a copy.
   *
   * @param virtualChunk The chunk: the volume sees it, and may not write to it
   *   in place; no copy of it is being made.
   * @param target What the mapper's `fresh` returned.
   * @param pieces What to write to the copy, in order; their bytes are the
   *   caller's again at return.
   * @returns A promise if the copy has to wait.
   * @throws {VirstorError} `io`, `no-space`, `failed`.
   */
  begin(
    virtualChunk: number,
    target: Component,
    pieces: readonly CopyPiece[],
  ): Completion {
    const copy: ChunkCopy = {
      virtualChunk,
      target,
      to: this.#parts.mapper.take(target),
      ended: Promise.withResolvers(),
      pieces: [...pieces],
      source: undefined,
      from: 0,
      at: 0,
      restarts: -1,
      isCold: false,
      isRecorded: false,
    };
    try {
      if (this.#goOnAnywhere(copy)) return this.#caughtUp(virtualChunk);
    } catch (error) {
      this.#giveUp(copy);
      throw error;
    }
    copy.pieces = copy.pieces.map(kept);
    this.#copies.set(virtualChunk, copy);
    void this.#finish(copy);
    return copy.ended.promise;
  }

  /** Goes on in later turns. Never rejects. */
  async #finish(copy: ChunkCopy): Promise<void> {
    try {
      do {
        if (copy.isCold) await this.#copyColdAnywhere(copy);
        else await turn(this);
        // Little waits for room in the journal of a remote component.
        await copy.target.device.behind;
        // Meanwhile the pool may have failed, or the volume been closed.
        this.#parts.assertWritable();
      } while (!this.#goOnAnywhere(copy));
      // A write that comes meanwhile finds the chunk mapped.
      this.#copies.delete(copy.virtualChunk);
      await this.#caughtUp(copy.virtualChunk);
      copy.ended.resolve();
    } catch (error) {
      this.#copies.delete(copy.virtualChunk);
      this.#giveUp(copy);
      copy.ended.reject(error);
    }
    this.#parts.onEnd();
  }

  /** Waits until what was written to a chunk of the volume is complete. */
  #caughtUp(virtualChunk: number): Completion {
    return this.#parts.map.writable(virtualChunk)?.device.behind;
  }

  /** Goes on; with another target if the file system of this one is full. */
  #goOnAnywhere(copy: ChunkCopy): boolean {
    try {
      return this.#goOn(copy);
    } catch (error) {
      if (!this.#retarget(copy, error)) throw error;
      return false;
    }
  }

  /**
   * Begins a copy anew on another component, because of a full file system.
   *
   * @returns Whether it was, and another component has a chunk.
   */
  #retarget(copy: ChunkCopy, error: unknown): boolean {
    const { map, mapper } = this.#parts;
    if (copy.isRecorded || map.writable(copy.virtualChunk) !== undefined) {
      return false;
    }
    const other = mapper.elsewhere(error);
    if (other === undefined) return false;
    mapper.giveUp(copy.target, copy.to);
    copy.target = other;
    copy.to = mapper.take(other);
    copy.at = 0;
    // Nothing is there yet: the next look counts as the first.
    copy.restarts = -1;
    copy.isCold = false;
    return true;
  }

  /**
   * Copies what is in the page cache, for a slice at most, and maps the copy if
   * it is complete.
   *
   * @returns Whether all pieces are written.
   */
  #goOn(copy: ChunkCopy): boolean {
    const { map, mapper } = this.#parts;
    const { virtualChunk, target, to, pieces } = copy;
    const own = map.writable(virtualChunk);
    if (own !== undefined) {
      // It got a chunk of its own: by a discard, or a snapshot is gone.
      this.#apply(pieces, own, map.chunk(virtualChunk));
      this.#giveUp(copy);
      return true;
    }
    this.#look(copy);
    if (!this.#copyCached(copy)) return false;
    this.#apply(pieces, target, to);
    copy.isRecorded = true;
    mapper.mapCopy(map, virtualChunk, target, to);
    return true;
  }

  /** Finds what to copy; begins anew if that has changed. */
  #look(copy: ChunkCopy): void {
    const { view } = this.#parts.map;
    const source = view.component(copy.virtualChunk);
    const from = source === undefined ? 0 : view.chunk(copy.virtualChunk);
    const isSame = copy.source === source && copy.from === from;
    if (isSame && copy.restarts >= 0) return;
    copy.source = source;
    copy.from = from;
    copy.at = 0;
    copy.restarts++;
  }

  /** @returns Whether all is copied. */
  #copyCached(copy: ChunkCopy): boolean {
    const { chunkSize } = this.#parts;
    const slice = new Slice(STEPS_A_LOOK);
    slice.begin();
    copy.isCold = false;
    while (copy.at < chunkSize) {
      const count = this.#nextCount(copy);
      if (count > 0) {
        const bytes = BUFFER.subarray(0, count);
        if (!this.#readCached(copy, bytes)) {
          copy.isCold = true;
          return false;
        }
        this.#put(copy, bytes);
      }
      const steps = 1 + Math.floor(count / PIECE_STEP_BYTES);
      if (slice.spend(steps) && copy.at < chunkSize) return false;
    }
    return true;
  }

  /** Passes what need not be copied; returns how much to copy next, bytes. */
  #nextCount(copy: ChunkCopy): number {
    const { chunkSize } = this.#parts;
    const { source, from, at, pieces: [first] } = copy;
    const most = Math.min(PIECE_BYTES, chunkSize - at);
    const end = first === undefined ? 0 : first.within + first.source.length;
    if (first !== undefined && first.within <= at && at + most <= end) {
      copy.at = Math.min(end, chunkSize);
      return 0;
    }
    // After a restart the target may hold bytes where there is a hole now.
    if (copy.restarts > 0) return most;
    if (source === undefined) {
      copy.at = chunkSize;
      return 0;
    }
    const [run] = source.device.extents(
      from * chunkSize + at,
      chunkSize - at,
      1,
    );
    if (run === undefined) return most;
    if (run.kind !== "hole") return Math.min(most, run.length);
    copy.at += run.length;
    return 0;
  }

  #readCached({ source, from, at }: ChunkCopy, bytes: Uint8Array): boolean {
    if (source === undefined) {
      bytes.fill(0);
      return true;
    }
    const { device } = source;
    const offset = from * this.#parts.chunkSize + at;
    if (device.readCached !== undefined && device.readCold !== undefined) {
      return device.readCached(bytes, offset) === bytes.length;
    }
    finished(device.read(bytes, offset));
    return true;
  }

  async #copyColdAnywhere(copy: ChunkCopy): Promise<void> {
    try {
      await this.#copyCold(copy);
    } catch (error) {
      if (!this.#retarget(copy, error)) throw error;
    }
  }

  /** Waits for the next bytes, and copies them if they are still right. */
  async #copyCold(copy: ChunkCopy): Promise<void> {
    const { map: { view }, chunkSize } = this.#parts;
    const { source, from, virtualChunk } = copy;
    const count = this.#nextCount(copy);
    if (source?.device.readCold === undefined || count === 0) return;
    const bytes = new Uint8Array(count);
    const givenBack = source.givenBackOf(from);
    const isSame = () =>
      view.component(virtualChunk) === source &&
      view.chunk(virtualChunk) === from &&
      source.givenBackOf(from) === givenBack;
    try {
      await source.device.readCold(bytes, from * chunkSize + copy.at, 0);
    } catch (error) {
      if (isSame()) throw error;
      return;
    }
    // Else the next look finds where the bytes are now.
    if (isSame()) this.#put(copy, bytes);
  }

  #put(copy: ChunkCopy, bytes: Uint8Array): void {
    const { hosts, chunkSize } = this.#parts;
    const { target, to } = copy;
    applied(hosts.write(target, bytes, to * chunkSize + copy.at));
    copy.at += bytes.length;
  }

  #apply(
    pieces: readonly CopyPiece[],
    component: Component,
    chunk: number,
  ): void {
    const { hosts, chunkSize } = this.#parts;
    for (const { within, source } of pieces) {
      applied(hosts.write(component, source, chunk * chunkSize + within));
    }
  }

  #giveUp(copy: ChunkCopy): void {
    if (copy.isRecorded) return;
    copy.isRecorded = true;
    this.#parts.mapper.giveUp(copy.target, copy.to);
  }
}

/** The piece, with bytes that stay. */
function kept(piece: CopyPiece): CopyPiece {
  return { ...piece, source: piece.source.slice() };
}
