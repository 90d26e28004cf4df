/**
 * The steps of moves of chunks to other components.
 *
 * @module
 */

import { assert } from "../../errors.ts";
import {
  type ChunkMove,
  type Component,
  flushAll,
  type MovingChunks,
} from "../core/mod.ts";
import type { LeavingChunk } from "./leaving_chunks.ts";
import type { PoolBase } from "../io/mod.ts";

/** A version of a chunk on its way to another component. */
export interface Move extends ChunkMove, LeavingChunk {
  /** Ranges of the chunk that the source cannot read, in order. */
  readonly unread: [start: number, end: number][];
  /** The virtual chunk. */
  readonly virtualChunk: number;
}

/** Begins, concludes and undoes moves. */
export class ChunkMoves {
  readonly #parts: PoolBase;

  /**
   * Starts without moves.
   *
   * @param parts The open pool's parts.
   */
  constructor(parts: PoolBase) {
    this.#parts = parts;
  }

  /**
   * Allocates a chunk to move to, and sends writes to both places.
   *
   * @param chunk The chunk to move.
   * @returns The move; undefined if none has to be moved.
   * @throws {VirstorError} `io`.
   */
  begin(chunk: LeavingChunk): Move | "no room" | undefined {
    const { space, volumes } = this.#parts;
    const { map, virtualChunk, birth } = chunk;
    const version = map.version(virtualChunk, birth);
    // A client may have discarded the chunk meanwhile.
    if (version?.component.evacuating !== true) return undefined;
    const { component: source, chunk: from } = version;
    // Writes that wait for space have precedence.
    const mayTake = !volumes.some(({ firstWrites }) =>
      firstWrites.waitsForSpace
    );
    const target = mayTake ? space.fresh() : undefined;
    if (target === undefined) return "no room";
    const to = target.next;
    space.take(target);
    target.unrecorded++;
    const move: Move = {
      ...chunk,
      ...{ source, from, target, to, unread: [], fault: undefined },
    };
    map.pin(virtualChunk);
    movingChunks(source).begin(move);
    return move;
  }

  /**
   * Maps durable copies: from here on the new places count.
   *
   * @param moves The moves, with complete copies; those with a fault are undone.
   * @returns How many chunks have moved.
   * @throws {VirstorError} `failed`.
   */
  async conclude(moves: readonly Move[]): Promise<number> {
    const { format, mapper, freeing, fail } = this.#parts;
    const sound = moves.filter((move) => move.fault === undefined);
    // Before anything is recorded, assert that no copy has missed a write.
    for (const move of moves) movingChunks(move.source).assertMoving(move);
    for (const move of moves) {
      if (move.fault !== undefined) this.undo(move);
    }
    try {
      for (const { map, virtualChunk, birth, target, to } of sound) {
        // The copy is durable, whatever the old place was.
        const owner = { volume: map.volume, birth, isProvisional: false };
        format.recordMapping(virtualChunk, owner, target, to);
        target.unrecorded--;
        map.relocate(virtualChunk, birth, target, to);
      }
      for (const move of sound) movingChunks(move.source).end(move);
      await this.flush(sound);
      for (const [source, its] of Map.groupBy(sound, (move) => move.source)) {
        const chunks = its.map(({ from }) => from);
        mapper.release(source, chunks);
        freeing.add(source, chunks);
      }
    } catch (error) {
      throw fail(error);
    }
    for (const { map, virtualChunk } of sound) map.unpin(virtualChunk);
    return sound.length;
  }

  /**
   * Undoes a move: the chunk stays in its old place.
   *
   * @param move The move.
   */
  undo(move: Move): void {
    const { freeing } = this.#parts;
    movingChunks(move.source).end(move);
    move.map.unpin(move.virtualChunk);
    move.target.unrecorded--;
    freeing.add(move.target, [move.to]);
  }

  /**
   * Makes the new places durable.
   *
   * @param moves The moves.
   * @throws {VirstorError} `failed`.
   */
  async flush(moves: readonly Move[]): Promise<void> {
    const targets = new Set(moves.map(({ target }) => target.device));
    try {
      await flushAll([...targets]);
    } catch (error) {
      throw this.#parts.fail(error);
    }
  }
}

function movingChunks({ moves }: Component): MovingChunks {
  assert(moves !== undefined, "an evacuating component moves chunks");
  return moves;
}
