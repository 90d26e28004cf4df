/**
 * `virstor completion`: prints a completion script for a shell.
 *
 * @module
 */

import {
  type Environment,
  EXIT_OK,
  type Invocation,
  print,
  UsageError,
} from "../terminal/mod.ts";
import { completionScript, isShell } from "../manuals/mod.ts";

/**
 * Prints the completion script of the named shell.
 *
 * @param invocation The command line.
 * @param environment All commands.
 * @returns The exit code.
 * @throws {UsageError} For an unknown shell.
 */
export function run(
  invocation: Invocation,
  { commands }: Environment,
): Promise<number> {
  const [shell = ""] = invocation.operands;
  if (!isShell(shell)) {
    throw new UsageError(
      `There is no completion for "${shell}"`,
      "Shells are bash, zsh and fish",
    );
  }
  print(completionScript(shell, commands).trimEnd());
  return Promise.resolve(EXIT_OK);
}
