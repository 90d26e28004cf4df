/**
 * The findings of a check or a repair as text.
 *
 * @module
 */

import { printable } from "../../errors.ts";
import type { Finding } from "../../pool/core/mod.ts";

/**
 * Formats a finding as one line.
 *
 * @param word The kind of line: `Damage`, `Notice`, `Repaired`, ...
 * @param finding The finding.
 * @returns The word, the place, the finding, its effect and the advice.
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
 * Tells whether a finding reports a missing component, so that a search for the
 * component may help.
 *
 * @param finding The finding.
 * @returns True if a component is missing.
 */
export function isMissing({ kind }: Finding): boolean {
  return kind === "missing";
}
