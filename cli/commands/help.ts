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
  UsageError,
} from "../terminal/mod.ts";

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
  const texts = invocation.operands.map((name) => {
    const command = commands.find((one) => one.name === name);
    if (command === undefined) {
      throw new UsageError(`Unknown command "${name}"`);
    }
    return commandHelp(command);
  });
  print(texts.length === 0 ? generalHelp(commands) : texts.join("\n\n"));
  return Promise.resolve(EXIT_OK);
}
