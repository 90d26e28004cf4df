/**
 * Ranges that become zeroes, or may, of a volume with snapshots, or of a clone.
 *
 * A chunk that only the volume sees is erased in place, and unmapped unless it
 * hides another version. Of one that it shares a snapshot keeps the data: a
 * chunk without data hides it.
 *
 * @module
 */

import { type Completion, Slice } from "../../device/block/mod.ts";
import { applied, PIECE_STEP_BYTES, turn, TURN_BUDGET } from "../core/mod.ts";
import { giveBackIfBlank, unmapChunks } from "./give_back.ts";
import type { PartAction } from "./mapped_ranges.ts";
import type { VolumeParts } from "./pool_parts.ts";

/** Steps between two looks at the clock. */
const STEPS_A_LOOK = 4;
/** Zeroes that are written over a part of a shared chunk, a piece at a time. */
const ZEROES = new Uint8Array(1 << 20);

/** A range to erase. */
export interface Erasure {
  /** The first byte. */
  readonly offset: number;
  /** How many bytes. */
  readonly length: number;
  /** The owner of the turns, see {@linkcode turn}. */
  readonly owner: object | undefined;
  /** Whether whole chunks may be unmapped. */
  readonly mayUnmap: boolean;
  /** Whether a part that was erased is a hole. */
  readonly isPunched: boolean;
}

/** A part of a chunk that the volume sees. */
interface Part {
  readonly virtualChunk: number;
  /** The offset of the first byte on the volume. */
  readonly offset: number;
  readonly count: number;
}

/** Makes ranges of layered volumes read as zeroes. */
export class LayeredEraser {
  readonly #parts: VolumeParts;
  readonly #assertWritable: () => void;

  /**
   * Creates an eraser.
   *
   * @param parts The open volume.
   * @param assertWritable Throws if the volume takes no more writes.
   */
  constructor(parts: VolumeParts, assertWritable: () => void) {
    this.#parts = parts;
    this.#assertWritable = assertWritable;
  }

  /**
   * Gives space back, where that needs no chunk or a chunk is free.
   *
   * @param erasure The range.
   * @param act Punches a part of a chunk of the volume's own.
   * @returns A promise if it takes long.
   */
  discard(erasure: Erasure, act: PartAction): Completion {
    const { firstWrites, base: { settings: { chunkSize } } } = this.#parts;
    return this.#each(erasure, act, ({ virtualChunk, count }) => {
      return count === chunkSize
        ? firstWrites.hideNow(virtualChunk)
        : undefined;
    });
  }

  /**
   * Makes a range read as zeroes.
   *
   * @param erasure The range.
   * @param act Zeroes a part of a chunk of the volume's own.
   * @param signal Ends waits for chunks when the client is gone.
   * @returns A promise if it takes long or waits.
   */
  zero(
    erasure: Erasure,
    act: PartAction,
    signal: AbortSignal | undefined,
  ): Completion {
    const { firstWrites, base: { settings: { chunkSize } } } = this.#parts;
    return this.#each(erasure, act, ({ virtualChunk, offset, count }) => {
      if (count === chunkSize) {
        return firstWrites.hide(virtualChunk, virtualChunk + 1, signal);
      }
      // After the first piece the volume has a chunk of its own.
      const piece = ZEROES.subarray(0, Math.min(ZEROES.length, count));
      return firstWrites.write(piece, offset, signal);
    });
  }

  /**
   * Erases what the volume sees of a range, one part after the other.
   *
   * @param erasure The range.
   * @param act Erases a part in place.
   * @param hide Erases a part that is shared, or a piece from its start: after
   *   that, what is left is looked at again.
   */
  #each(
    erasure: Erasure,
    act: PartAction,
    hide: (part: Part) => Completion,
  ): Completion {
    const slice = new Slice(STEPS_A_LOOK);
    const stop = erasure.offset + erasure.length;
    let at = erasure.offset;
    /** Goes on for a slice; returns what is to be waited for. */
    const some = (): Completion => {
      slice.begin();
      while (at < stop) {
        const part = this.#nextPart(at, stop);
        if (part === undefined) {
          at = stop;
          return undefined;
        }
        this.#assertWritable();
        const isOwn = this.#parts.map.writable(part.virtualChunk) !== undefined;
        at = part.offset + part.count;
        if (isOwn) {
          const pending = this.#eraseOwn(part, erasure, act);
          if (pending !== undefined) return pending;
        } else {
          const most = this.#parts.base.settings.chunkSize;
          if (part.count < most) {
            at = part.offset + Math.min(part.count, ZEROES.length);
          }
          const pending = hide(part);
          if (pending !== undefined) {
            // Meanwhile a write may have copied the chunk: look again.
            if (part.count === most) at = part.offset;
            return pending;
          }
        }
        const steps = 1 + Math.floor(part.count / PIECE_STEP_BYTES);
        if (slice.spend(steps)) return undefined;
      }
      return undefined;
    };
    const first = some();
    if (first === undefined && at >= stop) return undefined;
    return (async () => {
      await first;
      while (at < stop) {
        await turn(erasure.owner);
        await some();
      }
    })();
  }

  /** The next part that the volume sees; undefined if there is none. */
  #nextPart(from: number, stop: number): Part | undefined {
    const { map: { view, virtualChunks }, base: { settings: { chunkSize } } } =
      this.#parts;
    const end = Math.min(Math.ceil(stop / chunkSize), virtualChunks);
    const virtualChunk = view.nextMapped(Math.floor(from / chunkSize), end);
    if (virtualChunk >= end) return undefined;
    const start = virtualChunk * chunkSize;
    const offset = Math.max(from, start);
    const count = Math.min(stop, start + chunkSize) - offset;
    return { virtualChunk, offset, count };
  }

  #eraseOwn(
    { virtualChunk, offset, count }: Part,
    { mayUnmap, isPunched }: Erasure,
    act: PartAction,
  ): Completion {
    const { map, base: { settings: { chunkSize } } } = this.#parts;
    const hasToStay = map.pinned.has(virtualChunk) || map.hides(virtualChunk);
    if (count === chunkSize && mayUnmap && !hasToStay) {
      return unmapChunks(this.#parts, [virtualChunk]);
    }
    const component = map.writable(virtualChunk);
    if (component === undefined) return undefined;
    const at = map.chunk(virtualChunk) * chunkSize + offset % chunkSize;
    for (let done = 0; done < count;) {
      const piece = Math.min(TURN_BUDGET.zeroedBytes, count - done);
      applied(act(component, at + done, piece, virtualChunk));
      done += piece;
    }
    if (mayUnmap && isPunched) {
      giveBackIfBlank(this.#parts, virtualChunk, at, count);
    }
    return component.device.behind;
  }
}
