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

import { counted, isOrAre } from "../../errors.ts";
import type { Component } from "./component.ts";
import type { Watermarks } from "./settings.ts";

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
  // What leaves the pool counts neither as room nor as full.
  const staying = members.filter((one) => !one.fenced);
  const scope = staying.length === members.length
    ? ""
    : " of the components that stay";
  const total = (count: (one: Component) => number) =>
    staying.reduce((sum, one) => sum + count(one), 0);
  const free = total((one) => one.free);
  const usable = total(({ geometry }) =>
    geometry.chunkCount - geometry.chunkReserved
  );
  const chunks = marks.chunks < usable ? marks.chunks : Math.ceil(usable / 4);
  if (free < chunks) {
    passed.push({
      mark: "chunks",
      message: free === 0
        ? fullText(usable, total((one) => one.freeing), scope)
        : `${free} of ${counted(usable, "chunk")}${scope} ` +
          `${isOrAre(free)} free, fewer than ${chunks}`,
    });
  }
  const unused = staying.filter((one) => one.used === 0).length;
  if (staying.length > marks.components && unused < marks.components) {
    passed.push({
      mark: "components",
      message: `${unused} of ${counted(staying.length, "component")}` +
        `${scope === "" ? "" : " that stay"} ${isOrAre(unused)} unused, ` +
        `fewer than ${marks.components}`,
    });
  }
  return passed;
}

/** What is said when no chunk is free, though some may be before long. */
function fullText(usable: number, freeing: number, scope: string): string {
  if (freeing > 0) {
    return `None of ${counted(usable, "chunk")}${scope} is free, ` +
      `${freeing} ${isOrAre(freeing)} being freed`;
  }
  return usable === 1
    ? `The only chunk${scope} is in use`
    : `All ${counted(usable, "chunk")}${scope} are in use`;
}
