/**
 * Watermarks: when the pool says that space runs out.
 *
 * Two levels, as FreeBSD has them: so many free chunks, and so many whole
 * unused components. On a pool smaller than a mark the mark would always be
 * passed and tell nothing; so there it is a quarter of the chunks, and the
 * mark for components is left out where there are not more components.
 *
 * @module
 */

import type { Component } from "./component.ts";

/** Below which levels to warn. */
export interface Watermarks {
  /** Warn when fewer chunks are free. */
  readonly chunks: number;
  /** Warn when fewer components are wholly unused. */
  readonly components: number;
}

/** A level that is passed. */
export interface PassedMark {
  /** Which one. */
  readonly mark: keyof Watermarks;
  /** A sentence that says so. */
  readonly message: string;
}

/**
 * What is to be warned of now.
 *
 * @param members The components of the pool.
 * @param marks The levels.
 * @returns The levels that are passed.
 */
export function passedMarks(
  members: readonly Component[],
  marks: Watermarks,
): PassedMark[] {
  const passed: PassedMark[] = [];
  const free = members.reduce(
    (sum, one) => one.fenced ? sum : sum + one.free,
    0,
  );
  const usable = members.reduce(
    (sum, one) => sum + one.geometry.chunkCount - one.geometry.chunkReserved,
    0,
  );
  const chunks = marks.chunks < usable ? marks.chunks : Math.ceil(usable / 4);
  if (free < chunks) {
    passed.push({
      mark: "chunks",
      message: free === 0
        ? `All ${usable} chunks are in use`
        : `${free} of ${usable} chunks are free, fewer than ${chunks}`,
    });
  }
  const unused = members.filter((one) => one.used === 0 && !one.fenced).length;
  if (members.length > marks.components && unused < marks.components) {
    passed.push({
      mark: "components",
      message: `${unused} of ${members.length} components are unused, ` +
        `fewer than ${marks.components}`,
    });
  }
  return passed;
}
