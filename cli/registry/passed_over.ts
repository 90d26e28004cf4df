/**
 * Lists files that are not components, in a few lines however many there are.
 *
 * @module
 */

import { counted } from "../../errors.ts";

/** Up to so many files with one reason are listed one by one. */
const ALIKE_MAX = 3;
/** The most lines, beside a last one that counts the rest. */
const LINES_MAX = 10;

/** A file that is not a component. */
export interface PassedOver {
  /** The file's path. */
  readonly path: string;
  /** Why the file is not a component. */
  readonly reason: string;
}

/**
 * Formats a list of files that are not components. Of many files with the same
 * reason it names the first and counts the others; the rarest reasons come
 * first.
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

/** The reason without the path and the numbers in it. */
function kindOf({ path, reason }: PassedOver): string {
  return reason.replaceAll(path, "").replaceAll(/\d+/g, "");
}
