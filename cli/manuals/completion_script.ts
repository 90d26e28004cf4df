/**
 * The completion scripts of all shells.
 *
 * @module
 */

import type { CommandSpec } from "../terminal/mod.ts";
import { bashCompletion } from "./bash_completion.ts";
import { fishCompletion } from "./fish_completion.ts";
import { zshCompletion } from "./zsh_completion.ts";

const SCRIPTS = {
  bash: bashCompletion,
  zsh: zshCompletion,
  fish: fishCompletion,
} as const;

/** A shell that there is a completion script for. */
export type Shell = keyof typeof SCRIPTS;

/**
 * Tells whether there is a completion script for a shell.
 *
 * @param name The name of the shell.
 * @returns True if there is one.
 */
export function isShell(name: string): name is Shell {
  return Object.hasOwn(SCRIPTS, name);
}

/**
 * Makes the completion script of a shell.
 *
 * @param shell The shell.
 * @param commands All commands.
 * @returns The script, with a line feed at its end.
 */
export function completionScript(
  shell: Shell,
  commands: readonly CommandSpec[],
): string {
  return SCRIPTS[shell](commands);
}
