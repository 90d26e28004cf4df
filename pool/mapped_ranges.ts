/**
 * The mapped parts of a range of the virtual disk, done a turn at a time: the
 * range may be the whole disk. Where a chunk is, is looked up anew after each
 * turn, because meanwhile it may have been moved, or given to another.
 *
 * @module
 */

import type { Completion, Extent, ExtentKind } from "../device/mod.ts";
import { assert } from "../errors.ts";
import type { Component } from "./component.ts";
import type { ForwardMap } from "./forward_map.ts";
import { turn, TURN_BUDGET } from "./turn.ts";

/** Punching a hole, of any length, costs as much as so many bytes written. */
const PUNCH_COST_BYTES = 32 << 10;
/**
 * Chunks whose files are asked for holes before others have a turn: about
 * 10 ms.
 */
const LOOKS_MAX = 4096;

/**
 * What is done to a part of a chunk. It finishes at once.
 *
 * @param component The chunk's component.
 * @param at The first byte on it.
 * @param count How many, up to the end of the chunk.
 * @param virtualChunk The chunk.
 * @returns Nothing: it is done.
 */
export type PartAction = (
  component: Component,
  at: number,
  count: number,
  virtualChunk: number,
) => Completion;

/**
 * Does something to each mapped part of a range.
 *
 * @param map Where each virtual chunk is.
 * @param chunkSize Bytes of a chunk.
 * @param offset The first byte.
 * @param length How many.
 * @param isPunched Whether it costs the same for a part of any length.
 * @param act What to do.
 * @returns A promise if it takes more than a turn.
 */
export function eachMapped(
  map: ForwardMap,
  chunkSize: number,
  offset: number,
  length: number,
  isPunched: boolean,
  act: PartAction,
): Completion {
  const stop = offset + length;
  const go = (from: number) =>
    oneTurn(map, chunkSize, from, stop, isPunched, act);
  const reached = go(offset);
  if (reached === stop) return undefined;
  return (async () => {
    for (let at = reached; at < stop;) {
      await turn();
      at = go(at);
    }
  })();
}

/** Goes on from a byte, as far as a turn reaches; returns how far. */
function oneTurn(
  map: ForwardMap,
  chunkSize: number,
  start: number,
  stop: number,
  isPunched: boolean,
  act: PartAction,
): number {
  const end = Math.ceil(stop / chunkSize);
  const most = TURN_BUDGET.zeroedBytes;
  let budget = most;
  let chunk = map.nextMapped(Math.floor(start / chunkSize), end);
  for (; chunk < end; chunk = map.nextMapped(chunk + 1, end)) {
    const first = chunk * chunkSize;
    const from = Math.max(start, first);
    const whole = Math.min(stop, first + chunkSize) - from;
    const count = Math.min(whole, isPunched ? most : budget);
    const component = map.component(chunk);
    assert(component !== undefined, "a mapped chunk has a component");
    const at = map.chunk(chunk) * chunkSize + from - first;
    const pending = act(component, at, count, chunk);
    assert(pending === undefined, "components finish what is short at once");
    budget -= isPunched ? PUNCH_COST_BYTES : count;
    if (count < whole || budget <= 0) return from + count;
  }
  return stop;
}

/**
 * What is known of a range: `hole` where no chunk is mapped; where one is,
 * `zero` for the holes in its file, which have their chunk, and `data`.
 *
 * @param map Where each virtual chunk is.
 * @param chunkSize Bytes of a chunk.
 * @param offset The first byte.
 * @param length How many.
 * @param limit Runs that are wanted at most; unless given, all that there are.
 * @returns The runs; with a limit, they end early also where looking further
 *   would take long.
 */
export function mappedExtents(
  map: ForwardMap,
  chunkSize: number,
  offset: number,
  length: number,
  limit: number,
): Extent[] {
  const runs: MutableExtent[] = [];
  const stop = offset + length;
  const end = Math.ceil(stop / chunkSize);
  let looks = limit === Infinity ? Infinity : LOOKS_MAX;
  // One more: only what follows a run tells how long it is.
  for (let at = offset; at < stop && runs.length <= limit && looks > 0;) {
    const v = Math.floor(at / chunkSize);
    const component = map.component(v);
    if (component === undefined) {
      const next = Math.min(map.nextMapped(v, end) * chunkSize, stop);
      addRun(runs, next - at, "hole");
      at = next;
      continue;
    }
    const count = Math.min((v + 1) * chunkSize, stop) - at;
    const home = map.chunk(v) * chunkSize + at - v * chunkSize;
    looks--;
    const most = limit - runs.length + 1;
    for (const run of component.device.extents(home, count, most)) {
      addRun(runs, run.length, run.kind === "hole" ? "zero" : run.kind);
      at += run.length;
    }
  }
  return runs.slice(0, limit);
}

type MutableExtent = { -readonly [Key in keyof Extent]: Extent[Key] };

function addRun(
  runs: MutableExtent[],
  length: number,
  kind: ExtentKind,
): void {
  const last = runs[runs.length - 1];
  if (last?.kind === kind) last.length += length;
  else runs.push({ length, kind });
}
