/**
 * `virstor help`.
 *
 * @module
 */

import {
  commandHelp,
  type Environment,
  EXIT_OK,
  generalHelp,
  type Invocation,
  print,
} from "../terminal/mod.ts";
import { commandsBelow, findCommand, unknownCommand } from "./find_command.ts";

/**
 * Prints the help of virstor, or of the named commands.
 *
 * @param invocation The command line.
 * @param environment All commands.
 * @returns The exit code.
 * @throws {UsageError} For an unknown command.
 */
export function run(
  invocation: Invocation,
  { commands }: Environment,
): Promise<number> {
  const texts: string[] = [];
  for (let words = invocation.operands; words.length > 0;) {
    const [name = "", ...rest] = words;
    const found = findCommand(commands, name, rest);
    const group = found === undefined
      ? commandsBelow(commands, name)
      : [found.spec];
    if (group.length === 0) throw unknownCommand(commands, name, rest[0]);
    texts.push(...group.map(commandHelp));
    words = found?.words ?? rest;
  }
  print(texts.length === 0 ? generalHelp(commands) : texts.join("\n\n"));
  return Promise.resolve(EXIT_OK);
}
