/**
 * Files that are no components, told in a few lines however many there are.
 *
 * @module
 */

import { counted } from "../../errors.ts";

/** So many files of one kind are told one by one. */
const ALIKE_MAX = 3;
/** So many lines are told in all, but for the last one. */
const LINES_MAX = 10;

/** A file that was looked at, and why it is no component. */
export interface PassedOver {
  /** Where it is. */
  readonly path: string;
  /** Why it is none. */
  readonly reason: string;
}

/**
 * What to say of files that are no components. Of those that are passed over
 * for the same reason the first few are told, and how many more there are;
 * the rarest reasons come first.
 *
 * @param files The files.
 * @returns A line each, eleven at most.
 */
export function passedOverNotices(files: readonly PassedOver[]): string[] {
  const kinds = [...Map.groupBy(files, kindOf).values()]
    .toSorted((a, b) => a.length - b.length);
  const lines: string[] = [];
  let told = 0;
  for (const alike of kinds) {
    const shown = alike.length > ALIKE_MAX ? 1 : alike.length;
    for (const { path, reason } of alike.slice(0, shown)) {
      if (lines.length === LINES_MAX) break;
      const others = alike.length - shown;
      lines.push(
        `Passed over "${path}": ${reason}` +
          (others === 0 ? "" : ` (and ${others} more like it)`),
      );
      told += 1 + others;
    }
  }
  const rest = files.length - told;
  if (rest > 0) {
    lines.push(`Passed over ${counted(rest, "more file")}, --json lists them`);
  }
  return lines;
}

/** The reason without what differs from file to file. */
function kindOf({ path, reason }: PassedOver): string {
  return reason.replaceAll(path, "").replaceAll(/\d+/g, "");
}
