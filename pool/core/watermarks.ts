/**
 * Watermarks: when the pool warns that space runs out.
 *
 * There are two, as in FreeBSD: a number of free chunks, and a number of
 * components without mapped chunks. A pool smaller than a watermark would pass
 * it always, and the warning would say nothing. So the pool uses a quarter of
 * its chunks in place of the first, and ignores the second if it has no more
 * components than that.
 *
 * @module
 */

import { counted, isOrAre } from "../../errors.ts";
import type { Component } from "./component.ts";
import type { PoolEventData } from "./events.ts";
import type { Watermarks } from "./settings.ts";

/** A watermark that is passed. */
export type PassedMark = PoolEventData["watermark"] & {
  /** A sentence to show to users. */
  readonly message: string;
};

/**
 * Finds the watermarks that are passed now.
 *
 * @param members The components of the pool.
 * @param marks The watermarks.
 * @returns The passed watermarks.
 */
export function passedMarks(
  members: readonly Component[],
  marks: Watermarks,
): PassedMark[] {
  const passed: PassedMark[] = [];
  // Components that are being removed count neither as free nor as full.
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
  const chunks = chunkMark(usable, marks);
  if (free < chunks) {
    passed.push({
      mark: "chunks",
      count: free,
      minimum: chunks,
      total: usable,
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
      count: unused,
      minimum: marks.components,
      total: staying.length,
      message: `${unused} of ${counted(staying.length, "component")}` +
        `${scope === "" ? "" : " that stay"} ${isOrAre(unused)} unused, ` +
        `fewer than ${marks.components}`,
    });
  }
  return passed;
}

/**
 * The number of free chunks below which it is low.
 *
 * @param usable How many chunks there would be if none were in use.
 * @param marks The watermarks.
 * @returns The watermark; a quarter of the chunks if there are no more.
 */
export function chunkMark(usable: number, marks: Watermarks): number {
  return marks.chunks < usable ? marks.chunks : Math.ceil(usable / 4);
}

/** The warning when no chunk is free, although some may be freed soon. */
function fullText(usable: number, freeing: number, scope: string): string {
  if (freeing > 0) {
    return `None of ${counted(usable, "chunk")}${scope} is free, ` +
      `${freeing} ${isOrAre(freeing)} being freed`;
  }
  return usable === 1
    ? `The only chunk${scope} is in use`
    : `All ${counted(usable, "chunk")}${scope} are in use`;
}
