/**
 * Tables for terminals.
 *
 * @module
 */

import { printable } from "../../errors.ts";
import { padText, textWidth } from "./text_width.ts";

/**
 * Lays rows out in columns, two spaces apart. A column whose cells below the
 * heading all begin with a digit or are `-` is aligned right.
 *
 * @param cells The heading, then the rows; each as long as the heading.
 *   Characters that do not show are escaped, line breaks too.
 * @returns The lines, without spaces at their ends.
 */
export function textTable(cells: readonly (readonly string[])[]): string {
  const rows = cells.map((row) => row.map(printable));
  const [heading = [], ...body] = rows;
  const widths = heading.map((_, column) =>
    Math.max(...rows.map((row) => textWidth(row[column] ?? "")))
  );
  const right = heading.map((_, column) =>
    body.length > 0 &&
    body.every((row) => /^(\d|-$)/.test(row[column] ?? ""))
  );
  return rows.map((row) =>
    row.map((cell, column) =>
      right[column]
        ? padText(cell, widths[column] ?? 0, "start")
        : padText(cell, widths[column] ?? 0)
    ).join("  ").trimEnd()
  ).join("\n");
}

/**
 * Lays out pairs of a name and a value, with the values in one column.
 *
 * @param pairs Name and value; characters of values that do not show are
 *   escaped.
 * @param indent Put before every line.
 * @returns The lines.
 */
export function textPairs(
  pairs: readonly (readonly [string, string])[],
  indent = "",
): string {
  const width = Math.max(...pairs.map(([name]) => name.length)) + 1;
  return pairs.map(([name, value]) =>
    `${indent}${(name + ":").padEnd(width)} ${printable(value)}`.trimEnd()
  ).join("\n");
}
