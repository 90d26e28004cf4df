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

import { counted, inBytes, isOrAre } from "../../errors.ts";
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
 * @param chunkSize Bytes of a chunk.
 * @returns The passed watermarks.
 */
export function passedMarks(
  members: readonly Component[],
  marks: Watermarks,
  chunkSize = 1,
): PassedMark[] {
  const passed: PassedMark[] = [];
  const paths: readonly string[] = [];
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
      paths,
      message: free === 0
        ? fullText(usable, total((one) => one.freeing), scope)
        : `${free} of ${counted(usable, "chunk")}${scope} ` +
          `${isOrAre(free)} free, fewer than ${chunks}`,
    });
  }
  for (const mark of ["space", "used"] as const) {
    const minimum = spaceMinimum(mark, marks, usable, chunkSize);
    if (free >= minimum) continue;
    const message = `${free} of ${counted(usable, "chunk")}${scope} ` +
      `${isOrAre(free)} free, fewer than ${minimum} (` +
      `${mark === "used" ? `${marks.usedPercent}% used` : markText(marks)})`;
    passed.push({ mark, count: free, minimum, total: usable, paths, message });
  }
  const unused = staying.filter((one) => one.used === 0).length;
  if (staying.length > marks.components && unused < marks.components) {
    passed.push({
      mark: "components",
      count: unused,
      minimum: marks.components,
      total: staying.length,
      paths,
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

/**
 * The number of free chunks below which {@linkcode passedMarks} passes a mark
 * that is not passed yet.
 *
 * @param members The components of the pool.
 * @param marks The watermarks.
 * @param chunkSize Bytes of a chunk.
 * @returns The number; 0 if all marks are passed.
 */
export function nextMinimum(
  members: readonly Component[],
  marks: Watermarks,
  chunkSize: number,
): number {
  let [free, usable] = [0, 0];
  for (const one of members) {
    if (one.fenced) continue;
    free += one.free;
    usable += one.geometry.chunkCount - one.geometry.chunkReserved;
  }
  const minima = [
    chunkMark(usable, marks),
    spaceMinimum("space", marks, usable, chunkSize),
    spaceMinimum("used", marks, usable, chunkSize),
  ];
  return Math.max(0, ...minima.filter((minimum) => minimum <= free));
}

/** The minimum of free chunks for a mark that is in bytes or percent. */
function spaceMinimum(
  mark: "space" | "used",
  { space, usedPercent }: Watermarks,
  usable: number,
  chunkSize: number,
): number {
  if (mark === "used") {
    if (usedPercent === undefined || usable === 0) return 0;
    return Math.floor(usable * (100 - usedPercent) / 100) + 1;
  }
  const { bytes = 0, percent = 0 } = space ?? {};
  const most = Math.max(
    Math.ceil(bytes / chunkSize),
    Math.ceil(usable * percent / 100),
  );
  return Math.min(most, usable);
}

function markText({ space }: Watermarks): string {
  const { bytes = 0, percent = 0 } = space ?? {};
  return bytes > 0 ? inBytes(bytes) : `${percent}%`;
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
