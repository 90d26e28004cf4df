/**
 * What was found in a pool, for people.
 *
 * @module
 */

import { printable } from "../../errors.ts";
import type { Finding } from "../../pool/core/mod.ts";

/**
 * A finding in one line.
 *
 * @param word What it is, or what became of it: `Damage`, `Repaired`.
 * @param finding The finding.
 * @returns The word, where it is, what it is, and what it means.
 */
export function findingText(
  word: string,
  { where, what, effect, advice }: Finding,
): string {
  const text = [word, where, what, effect].filter((part) => part !== "")
    .join(": ");
  return printable(advice === undefined ? text : `${text}; ${advice}`);
}

/**
 * Whether a finding is that a component is missing.
 *
 * @param finding The finding.
 * @returns Whether a search for it may help.
 */
export function isMissing({ kind }: Finding): boolean {
  return kind === "missing";
}
