/**
 * Finds the command that the words of a command line begin with. Some commands
 * have two words, as in `volume create`.
 *
 * @module
 */

import { VirstorError } from "../../errors.ts";
import {
  type CommandSpec,
  didYouMean,
  type Environment,
  UsageError,
} from "../terminal/mod.ts";

/**
 * Finds a command.
 *
 * @param commands All commands.
 * @param name The first word.
 * @param rest The words behind it.
 * @returns The command, and the words behind its name; `undefined` if there is
 *   none of this name.
 */
export function findCommand(
  commands: readonly CommandSpec[],
  name: string,
  rest: readonly string[],
): { spec: CommandSpec; words: readonly string[] } | undefined {
  const [second = "", ...others] = rest;
  const named = (wanted: string) =>
    commands.find((command) => command.name === wanted);
  const long = named(`${name} ${second}`);
  if (long !== undefined) return { spec: long, words: others };
  const spec = name.includes(" ") ? undefined : named(name);
  return spec === undefined ? undefined : { spec, words: rest };
}

/**
 * Finds the commands of two words that begin with one.
 *
 * @param commands All commands.
 * @param name The first word.
 * @returns The commands, in the order of the help.
 */
export function commandsBelow(
  commands: readonly CommandSpec[],
  name: string,
): CommandSpec[] {
  return commands.filter((command) => command.name.startsWith(`${name} `));
}

/**
 * The error for a command that does not exist.
 *
 * @param commands All commands.
 * @param name The first word.
 * @param second The word behind it.
 * @returns The error.
 */
export function unknownCommand(
  commands: readonly CommandSpec[],
  name: string,
  second: string | undefined,
): UsageError {
  const below = commandsBelow(commands, name);
  if (below.length === 0) {
    const first = new Set(commands.map((one) => one.name.split(" ")[0] ?? ""));
    const meant = didYouMean(name, [...first]);
    const hint = `${meant}Try "virstor --help"`;
    return new UsageError(`Unknown command "${name}"`, hint);
  }
  const words = below.map((one) => `"${one.name}"`).join(", ");
  if (second === undefined) {
    const message = `Command "${name}" needs another word`;
    return new UsageError(message, `There are ${words}`);
  }
  const wanted = `${name} ${second}`;
  const meant = didYouMean(wanted, below.map((one) => one.name));
  const message = `Unknown command "${wanted}"`;
  return new UsageError(message, `${meant}There are ${words}`);
}

/**
 * Explains why a command did not find a pool, if the words say why.
 *
 * @param error What the command has thrown.
 * @param spec The command.
 * @param operands Its operands.
 * @param environment The state directory.
 * @returns The explanation, or `error`.
 */
export async function explainNotFound(
  error: unknown,
  spec: CommandSpec,
  operands: readonly string[],
  environment: Environment,
): Promise<unknown> {
  const isMissing = error instanceof VirstorError && error.code === "not-found";
  if (!isMissing) return error;
  // Few commands need it.
  const { explain } = await import("./explain_not_found.ts");
  return await explain(error, spec, operands, environment);
}
