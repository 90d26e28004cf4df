/**
 * What an evacuation leaves behind because a disk cannot read it, where its
 * caller has accepted that. The evacuation names it before it is lost.
 *
 * @module
 */

import { inBytes, nameInPool, quoted, VirstorError } from "../../errors.ts";
import { SnapshotView } from "../core/mod.ts";
import type { PoolBase } from "../io/mod.ts";
import type { Move } from "./chunk_moves.ts";

/** The most ranges that the status lists. */
const RANGES_LISTED = 1000;

/** A range of volumes and snapshots that is lost; it reads as zeroes. */
export interface Loss {
  /** Path of the component that could not be read. */
  readonly path: string;
  /** What has lost it, as `VOLUME` and `VOLUME@SNAPSHOT`. */
  readonly names: readonly string[];
  /** Where it is in each of them, bytes. */
  readonly offset: number;
  /** How long it is, bytes. */
  readonly length: number;
}

/** What evacuations have lost since the pool was opened. */
export interface LossStatus {
  /** All of it, bytes; what several volumes and snapshots share counts once. */
  readonly bytes: number;
  /** Where it was, the first 1000 ranges. */
  readonly ranges: readonly Loss[];
}

/** Notes what is lost, and keeps it below a limit. */
export class Losses {
  readonly #parts: PoolBase;
  readonly #ranges: Loss[] = [];
  #bytes = 0;
  #limit = 0;
  /** What was lost under the present limit, bytes. */
  #spent = 0;

  /**
   * Starts without losses; none is accepted.
   *
   * @param parts The open pool's parts.
   */
  constructor(parts: PoolBase) {
    this.#parts = parts;
  }

  /** What was lost. */
  get status(): LossStatus {
    return { bytes: this.#bytes, ranges: [...this.#ranges] };
  }

  /**
   * Accepts losses from now on.
   *
   * @param bytes The most that may be lost; 0 for nothing.
   */
  accept(bytes: number): void {
    this.#limit = bytes;
    this.#spent = 0;
  }

  /**
   * Prepares the copy of a chunk.
   *
   * @param move The chunk.
   * @param batch All chunks that are moved with it.
   * @returns Notes a range that cannot be read, and throws if all of them are
   *   more than is accepted; undefined if nothing is accepted.
   */
  noting(
    move: Move,
    batch: readonly Move[],
  ): ((start: number, end: number) => void) | undefined {
    if (this.#limit === 0) return undefined;
    return (start, end) => {
      const last = move.unread.at(-1);
      if (last?.[1] === start) last[1] = end;
      else move.unread.push([start, end]);
      const lost = batch.flatMap(({ unread }) => unread)
        .reduce((sum, [from, to]) => sum + to - from, this.#spent);
      if (lost <= this.#limit) return;
      throw new VirstorError(
        "io",
        `Cannot read "${move.source.device.path}": more than the ` +
          `${inBytes(this.#limit)} that may be lost cannot be read there`,
      );
    };
  }

  /**
   * Names what chunks have lost, before their copies take their place.
   *
   * @param moves The chunks, with complete copies.
   */
  name(moves: readonly Move[]): void {
    const { chunkSize, name: pool, onEvent } = this.#parts.settings;
    for (const move of moves) {
      if (move.fault !== undefined || move.unread.length === 0) continue;
      const names = this.#namesOf(move);
      for (const [start, end] of move.unread) {
        const length = end - start;
        this.#spent += length;
        // What only removed snapshots have seen is missed by none.
        if (names.length === 0) continue;
        const { path } = move.source.device;
        const offset = move.virtualChunk * chunkSize + start;
        const loss: Loss = { path, names, offset, length };
        this.#bytes += length;
        if (this.#ranges.length < RANGES_LISTED) this.#ranges.push(loss);
        onEvent({ kind: "lost", message: lossText(pool, loss), ...loss });
      }
    }
  }

  /** The volumes and snapshots that see a chunk. */
  #namesOf({ virtualChunk, source, from }: Move): string[] {
    const { volumes, settings: { chunkSize } } = this.#parts;
    return volumes.flatMap(({ map, record: { name, snapshots } }) => [
      { name, view: map.view },
      ...snapshots.map((one) => ({
        name: `${name}@${one.name}`,
        view: new SnapshotView(map, one.epoch, one.size / chunkSize),
      })),
    ]).filter(({ view }) =>
      virtualChunk < view.virtualChunks &&
      view.component(virtualChunk) === source &&
      view.chunk(virtualChunk) === from
    ).map(({ name }) => name);
  }
}

/**
 * Says that data was lost.
 *
 * @param pool The name of the pool.
 * @param status What was lost.
 * @returns A sentence; none if nothing was lost.
 */
export function lossWarnings(
  pool: string,
  { bytes, ranges }: LossStatus,
): string[] {
  if (bytes === 0) return [];
  const names = listed(pool, ranges.flatMap((range) => range.names));
  return [
    `An evacuation has lost ${inBytes(bytes)} of ${names}: the events of the ` +
    'kind "lost" say where; restore them from a copy',
  ];
}

function lossText(
  pool: string,
  { path, names, offset, length }: Loss,
): string {
  return `Lost ${inBytes(length)} at byte ${offset} of ${
    listed(pool, names)
  }: ` +
    `"${path}" cannot read them, zeroes are there now`;
}

function listed(pool: string, names: readonly string[]): string {
  return quoted([...new Set(names)].map((name) => nameInPool(pool, name)));
}
