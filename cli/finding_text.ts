/**
 * What was found in a pool, for people.
 *
 * @module
 */

import { printable } from "../errors.ts";
import type { Finding } from "../pool/mod.ts";

/**
 * A finding in one line.
 *
 * @param word What it is, or what became of it: `Damage`, `Repaired`.
 * @param finding The finding.
 * @returns The word, where it is, what it is, and what it means.
 */
export function findingText(
  word: string,
  { where, what, effect }: Finding,
): string {
  return printable(
    [word, where, what, effect].filter((part) => part !== "").join(": "),
  );
}
