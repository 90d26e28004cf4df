/**
 * Ranges of the virtual disk that become zeroes, or may.
 *
 * Whole chunks are unmapped: their table entries are cleared, and they go the
 * way of {@linkcode Freeing} to be free again. Parts of chunks are punched in
 * place, and a chunk that has no data left is unmapped, too. A dense format
 * cannot give chunks back: all is punched there.
 *
 * @module
 */

import {
  type Completion,
  joinParts,
  Slice,
  type WriteZeroesOptions,
} from "../../device/block/mod.ts";
import { inBytes, VirstorError } from "../../errors.ts";
import { type Component, turn, TURN_BUDGET } from "../core/mod.ts";
import { giveBackIfBlank, unmapChunks } from "./give_back.ts";
import { eachMapped, type PartAction } from "./mapped_ranges.ts";
import { type Erasure, LayeredEraser } from "./layered_eraser.ts";
import type { VolumeParts } from "./pool_parts.ts";

/** Why an erasure begins anew: the volume has a snapshot by now. */
const OVERTAKEN = new Error("The volume has a snapshot by now");

/** Makes ranges read as zeroes. */
export class Eraser {
  readonly #parts: VolumeParts;
  readonly #assertWritable: () => void;
  readonly #layered: LayeredEraser;

  /**
   * Creates an eraser.
   *
   * @param parts The open pool.
   * @param assertWritable Throws if the pool takes no more writes. Erasing ends
   *   with that error between two turns.
   */
  constructor(parts: VolumeParts, assertWritable: () => void) {
    this.#parts = parts;
    this.#assertWritable = assertWritable;
    this.#layered = new LayeredEraser(parts, assertWritable);
  }

  /**
   * Gives space back. Parts of chunks keep their bytes where holes cannot be
   * punched.
   *
   * @param offset The first byte.
   * @param length How many.
   * @param owner Whose turns it takes, see {@linkcode turn}.
   * @returns A promise if it takes long.
   */
  discard(
    offset: number,
    length: number,
    owner: object | undefined,
  ): Completion {
    const how = { owner, mayUnmap: true, isPunched: true };
    const erasure = { offset, length, ...how };
    return this.#erase(
      erasure,
      discardPart,
      () => this.#layered.discard(erasure, discardPart),
    );
  }

  /**
   * Makes a range read as zeroes. What is not mapped does already, and gets a
   * chunk only with `noHole`.
   *
   * @param offset The first byte.
   * @param length How many.
   * @param options How; its signal is also the owner of the turns that it
   *   takes, see {@linkcode turn}.
   * @returns A promise if it takes long, or if it waits for a chunk.
   */
  zero(
    offset: number,
    length: number,
    options: WriteZeroesOptions,
  ): Completion {
    const { base, firstWrites } = this.#parts;
    const { settings: { name }, format, hosts } = base;
    const { noHole = false, fastOnly = false, signal } = options;
    const isFast = format.members.every((one) =>
      one.device.capabilities.fastZeroes
    );
    // Before anything is zeroed, not in the middle.
    if (fastOnly && !isFast) {
      throw new VirstorError(
        "unsupported",
        `Cannot zero ${inBytes(length)} of pool "${name}" fast`,
      );
    }
    const zeroPart: PartAction = (component, at, count) => {
      try {
        return component.data.writeZeroes(at, count, { noHole });
      } catch (error) {
        // Zeroes that keep their space may need some of the file system.
        throw hosts.failed(component, error);
      }
    };
    const owner = signal;
    const isPunched = !noHole && isFast;
    const erasure = { offset, length, owner, mayUnmap: !noHole, isPunched };
    const zeroed = this.#erase(
      erasure,
      zeroPart,
      () => this.#layered.zero(erasure, zeroPart, signal),
    );
    if (!noHole) return zeroed;
    const allocate = (): Completion => {
      // Meanwhile the disk may have become smaller, or the pool have failed.
      this.#assertWritable();
      this.#assertInside(offset + length);
      return firstWrites.allocate(offset, length, signal);
    };
    // One after the other: what is mapped reads as zeroes already.
    return zeroed === undefined ? allocate() : zeroed.then(allocate);
  }

  /** Throws between two turns if the rest must not be erased in this way. */
  #assertMayGoOn(): void {
    this.#assertWritable();
    if (this.#parts.map.isLayered) throw OVERTAKEN;
  }

  #assertInside(end: number): void {
    const { map, base: { settings: { chunkSize, name } } } = this.#parts;
    if (end <= map.virtualChunks * chunkSize) return;
    throw new VirstorError(
      "invalid",
      `Cannot zero up to byte ${end} of pool "${name}": the disk has become ` +
        "smaller",
    );
  }

  /**
   * Erases a range.
   *
   * @param inLayers How, if the volume shares chunks, or does so later.
   */
  #erase(
    erasure: Erasure,
    act: PartAction,
    inLayers: () => Completion,
  ): Completion {
    if (this.#parts.map.isLayered) return inLayers();
    return this.#eraseFlat(erasure, act)?.catch((error) => {
      if (error !== OVERTAKEN) throw error;
      return inLayers();
    });
  }

  #eraseFlat(
    { offset, length, owner, mayUnmap, isPunched }: Erasure,
    act: PartAction,
  ): Completion {
    const { map, base: { settings: { chunkSize }, format } } = this.#parts;
    const stop = offset + length;
    const first = Math.ceil(offset / chunkSize);
    const end = Math.floor(stop / chunkSize);
    const mayGiveBack = mayUnmap && isPunched && !format.isDense;
    const actOnPart: PartAction = (component, at, count, virtualChunk) => {
      this.#assertMayGoOn();
      const pending = act(component, at, count, virtualChunk);
      if (!mayGiveBack || pending !== undefined) return pending;
      giveBackIfBlank(this.#parts, virtualChunk, at, count);
      return undefined;
    };
    const inParts = (from: number, count: number) =>
      eachMapped(
        { map, chunkSize, offset: from, length: count },
        owner,
        actOnPart,
      );
    if (!mayUnmap || format.isDense || first >= end) {
      return inParts(offset, length);
    }
    return joinParts([
      () =>
        this.#unmap(
          first,
          end,
          owner,
          (v) => inParts(v * chunkSize, chunkSize),
        ),
      () => inParts(offset, first * chunkSize - offset),
      () => inParts(end * chunkSize, stop - end * chunkSize),
    ], (start) => start());
  }

  /**
   * Unmaps chunks.
   *
   * @param erase What to do with those that have to stay mapped.
   */
  #unmap(
    first: number,
    end: number,
    owner: object | undefined,
    erase: (virtualChunk: number) => Completion,
  ): Completion {
    const pinned: number[] = [];
    const slice = new Slice(1);
    slice.begin();
    let reached = first;
    let unmapped: Completion;
    do ({ reached, unmapped } = this.#unmapSome(reached, end, pinned)); while (
      reached < end && unmapped === undefined && !slice.spend(1)
    );
    const inPlace = () => joinParts(pinned, erase);
    if (reached === end) {
      return joinParts([() => unmapped, inPlace], (start) => start());
    }
    const rest = async () => {
      await unmapped;
      await turn(owner);
      this.#assertMayGoOn();
      await this.#unmap(reached, end, owner, erase);
    };
    return joinParts([inPlace, rest], (start) => start());
  }

  /** Unmaps some chunks; returns how far it came, and what to wait for. */
  #unmapSome(
    first: number,
    end: number,
    pinned: number[],
  ): { reached: number; unmapped: Completion } {
    const { map } = this.#parts;
    const chunks: number[] = [];
    let v = map.nextMapped(first, end);
    for (
      ;
      v < end && chunks.length < TURN_BUDGET.unmappedChunks;
      v = map.nextMapped(v + 1, end)
    ) {
      if (map.pinned.has(v)) pinned.push(v);
      else chunks.push(v);
    }
    return { reached: v, unmapped: unmapChunks(this.#parts, chunks) };
  }
}

function discardPart(
  { data }: Component,
  at: number,
  count: number,
): Completion {
  return data.discard(at, count);
}
