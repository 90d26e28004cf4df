/**
 * Parses the words of a command line into an {@linkcode Invocation}.
 *
 * @module
 */

import { parseArgs } from "@std/cli";
import {
  type CommandSpec,
  COMMON_OPTIONS,
  type Invocation,
  optionsOf,
  type OptionSpec,
} from "./command.ts";
import { didYouMean, UsageError } from "./usage_error.ts";

/** Stands before a word such as `-1G`, which is no option, while it is parsed. */
const NO_OPTION = "\0";

/** The options that may stand before the command. */
export const GLOBAL_OPTIONS: readonly OptionSpec[] = [
  { name: "version", help: "print the version, and what virstor runs on" },
  ...COMMON_OPTIONS,
];

/**
 * Splits a command line at the command.
 *
 * @param args All words after `virstor`.
 * @returns The options before the command; the operands are the command's
 *   name, if there is one, and all words after it, options too.
 * @throws {UsageError} For an unknown option.
 */
export function parseGlobal(args: readonly string[]): Invocation {
  return parse(args, GLOBAL_OPTIONS, "virstor --help", true);
}

/**
 * Parses the words after a command's name.
 *
 * @param spec The command.
 * @param args The words.
 * @returns The parsed command line. With `--help` the operands are not checked.
 * @throws {UsageError} For an unknown option, an option without its value,
 *   and too few or too many operands.
 */
export function parseCommand(
  spec: CommandSpec,
  args: readonly string[],
): Invocation {
  const help = `virstor ${spec.name} --help`;
  // Alone, `-h` asks for help, also where the command gives it another meaning.
  const words = args.length === 1 && args[0] === "-h" ? ["--help"] : args;
  const invocation = parse(words, optionsOf(spec), help, false);
  if (invocation.flag("help")) return invocation;
  const { operands } = invocation;
  const missing = spec.operands[operands.length];
  if (missing !== undefined) {
    throw new UsageError(
      `Command "${spec.name}" needs ${missing}`,
      `Usage: virstor ${spec.name} ${spec.usage}`,
    );
  }
  const extra = operands[spec.operands.length];
  if (extra !== undefined && !spec.moreOperands) {
    throw new UsageError(
      `Command "${spec.name}" takes no argument "${extra}"`,
      `Usage: virstor ${spec.name} ${spec.usage}`.trimEnd(),
    );
  }
  return invocation;
}

function parse(
  args: readonly string[],
  options: readonly OptionSpec[],
  help: string,
  stopEarly: boolean,
): Invocation {
  const hint = `Try "${help}"`;
  const names = (select: (option: OptionSpec) => boolean) =>
    options.filter(select).map((option) => option.name);
  const alias: Record<string, string> = {};
  for (const { name, short } of options) {
    if (short !== undefined) alias[name] = short;
  }
  const parsed: Record<string, unknown> = parseArgs(
    (stopEarly ? [...args] : splitClusters(args, options))
      .map((word) => /^-\d/.test(word) ? NO_OPTION + word : word),
    {
      boolean: names((option) => option.value === undefined),
      // Operands too are text: a pool may be called 007.
      string: ["_", ...names((option) => option.value !== undefined)],
      collect: names((option) => option.value !== undefined),
      alias,
      stopEarly,
      "--": stopEarly,
      unknown: (arg: string, key?: string) => {
        if (key !== undefined) throw refusal(arg, options, hint);
        return true;
      },
    },
  );
  const texts = (name: string): string[] => {
    const given = parsed[name];
    return Array.isArray(given)
      ? given.map((word) => String(word).replace(NO_OPTION, ""))
      : [];
  };
  for (const { name, value, repeatable } of options) {
    if (value === undefined) continue;
    const given = texts(name);
    if (given.includes("")) {
      throw new UsageError(`Option --${name} needs a value: ${value}`, hint);
    }
    if (given.length > 1 && repeatable !== true) {
      throw new UsageError(`Option --${name} is given twice`, hint);
    }
  }
  // With `stopEarly` the words after the command keep their "--".
  const rest = stopEarly && args.includes("--") ? ["--", ...texts("--")] : [];
  return {
    operands: [...texts("_"), ...rest],
    flag: (name) => parsed[name] === true,
    value: (name) => texts(name).at(-1),
    values: texts,
  };
}

function refusal(
  arg: string,
  options: readonly OptionSpec[],
  hint: string,
): UsageError {
  const word = arg.replace(/=.*$/s, "");
  const option = options.find(({ name }) => `--${name}` === word);
  if (option === undefined) {
    const known = options.map(({ name }) => `--${name}`);
    const meant = didYouMean(word, known);
    return new UsageError(`Unknown option "${word}"`, `${meant}${hint}`);
  }
  return option.value === undefined
    ? new UsageError(`Option ${word} takes no value`, hint)
    : new UsageError(`Option ${word} needs a value: ${option.value}`, hint);
}

/**
 * Splits letters that share a dash, as `getopt(3)` does: `-fv` is `-f -v`,
 * and `-s1T` is `-s=1T`. Unknown letters stay, so that the parser refuses them
 * by name.
 */
function splitClusters(
  args: readonly string[],
  options: readonly OptionSpec[],
): string[] {
  const words: string[] = [];
  for (const [index, word] of args.entries()) {
    if (word === "--") return [...words, ...args.slice(index)];
    if (!/^-[A-Za-z]./s.test(word)) {
      words.push(word);
      continue;
    }
    for (let at = 1; at < word.length; at += 1) {
      const letter = word.charAt(at);
      const option = options.find(({ short }) => short === letter);
      const rest = word.slice(at + 1);
      if (option?.value !== undefined && rest !== "") {
        words.push(`--${option.name}=${rest.replace(/^=/, "")}`);
        break;
      }
      words.push(`-${letter}`);
    }
  }
  return words;
}
