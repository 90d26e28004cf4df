/**
 * `virstor help`.
 *
 * @module
 */

import type { Environment, Invocation } from "../command.ts";
import { EXIT_OK } from "../exit_code.ts";
import { commandHelp, generalHelp } from "../help.ts";
import { print } from "../output.ts";
import { UsageError } from "../usage_error.ts";

/**
 * Prints the help of virstor, or of the commands that are named.
 *
 * @param invocation The command line.
 * @param environment Which commands there are.
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
