/**
 * How values are shown in the messages of failed assertions.
 *
 * @module
 */

/** More lines than this on one side say less than they hide. */
const SHOWN_LINES = 60;

/** A value as text: a string is quoted, an object is shown to a depth of 20. */
export function show(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value);
  return Deno.inspect(value, {
    depth: 20,
    sorted: true,
    trailingComma: true,
    compact: false,
    iterableLimit: 200,
    strAbbreviateSize: 10_000,
  });
}

/**
 * Two values line by line: what both begin and end with once, what only the
 * actual one has after `-`, what only the expected one has after `+`.
 */
export function showDifference(actual: unknown, expected: unknown): string {
  if (actual instanceof Uint8Array && expected instanceof Uint8Array) {
    return showByteDifference(actual, expected);
  }
  const actualLines = linesOf(actual);
  const expectedLines = linesOf(expected);
  const shortest = Math.min(actualLines.length, expectedLines.length);
  let head = 0;
  while (head < shortest && actualLines[head] === expectedLines[head]) head++;
  let tail = 0;
  while (
    tail < shortest - head && actualLines.at(-1 - tail) ===
      expectedLines.at(-1 - tail)
  ) tail++;
  return [
    "    [Diff] Actual / Expected",
    "",
    ...cut(mark("    ", actualLines.slice(0, head)).slice(-10)),
    ...cut(mark("-   ", actualLines.slice(head, actualLines.length - tail))),
    ...cut(
      mark("+   ", expectedLines.slice(head, expectedLines.length - tail)),
    ),
    ...mark("    ", actualLines.slice(actualLines.length - tail)).slice(0, 10),
  ].join("\n");
}

function linesOf(value: unknown): string[] {
  // Strings are compared as the reader sees them, not on one escaped line.
  return (typeof value === "string" ? value : show(value)).split("\n");
}

function mark(prefix: string, lines: string[]): string[] {
  return lines.map((line) => prefix + line);
}

function cut(lines: string[]): string[] {
  if (lines.length <= SHOWN_LINES) return lines;
  const left = lines.length - SHOWN_LINES;
  return [...lines.slice(0, SHOWN_LINES), `    ... ${left} more lines`];
}

/** Disk blocks are too long to print: the first difference tells most. */
function showByteDifference(actual: Uint8Array, expected: Uint8Array): string {
  const shortest = Math.min(actual.length, expected.length);
  let at = 0;
  while (at < shortest && actual[at] === expected[at]) at++;
  return [
    `    [Diff] Actual / Expected, from byte ${at}`,
    "",
    `-   ${hex(actual, at)}  (${actual.length} bytes in all)`,
    `+   ${hex(expected, at)}  (${expected.length} bytes in all)`,
  ].join("\n");
}

function hex(bytes: Uint8Array, from: number): string {
  const shown = bytes.subarray(from, from + 16);
  return Array.from(shown, (byte) => byte.toString(16).padStart(2, "0"))
    .join(" ") || "(end)";
}
