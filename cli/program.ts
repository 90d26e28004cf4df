/**
 * What `virstor` does on Deno: parses the command line, runs the command, and
 * turns an error into one line and an exit code.
 *
 * @module
 */

import { isFaithfulName, messageOf, VirstorError } from "../errors.ts";
import {
  commandHelp,
  EXIT_CODES,
  EXIT_FAILED,
  EXIT_INTERNAL,
  EXIT_OK,
  EXIT_SIGNAL,
  EXIT_USAGE,
  finishErrors,
  generalHelp,
  OutputClosedError,
  parseCommand,
  parseGlobal,
  print,
  printError,
  printInternalError,
  UsageError,
} from "./terminal/mod.ts";
import {
  COMMANDS,
  commandsBelow,
  explainNotFound,
  findCommand,
  unknownCommand,
} from "./commands/mod.ts";
import { beginNotices, findStateDirectory, useJournals } from "./state/mod.ts";

/** The number of SIGPIPE, which ends other programs when their reader exits. */
const SIGPIPE = 13;

/**
 * Runs one command.
 *
 * @param args The words after `virstor`.
 * @returns The exit code. Never throws.
 */
export async function runCommand(args: readonly string[]): Promise<number> {
  try {
    beginNotices();
    return await dispatch(args);
  } catch (error) {
    return report(error);
  }
}

async function dispatch(args: readonly string[]): Promise<number> {
  refuseUnfaithful(args);
  const global = parseGlobal(args);
  if (global.flag("version")) return await dispatch(["version"]);
  const [name, ...rest] = global.operands;
  if (name === undefined || global.flag("help")) {
    if (name === undefined && !global.flag("help")) {
      throw new UsageError("No command is given");
    }
    print(generalHelp(COMMANDS));
    return EXIT_OK;
  }
  const found = findCommand(COMMANDS, name, rest);
  if (found === undefined) {
    const below = commandsBelow(COMMANDS, name);
    if (below.length === 0 || !isHelpWord(rest[0])) {
      throw unknownCommand(COMMANDS, name, rest[0]);
    }
    print(below.map(commandHelp).join("\n\n"));
    return EXIT_OK;
  }
  const { spec, words } = found;
  const invocation = parseCommand(spec, words);
  if (invocation.flag("help")) {
    print(commandHelp(spec));
    return EXIT_OK;
  }
  const { run } = await spec.load();
  const state = findStateDirectory(
    invocation.value("state-dir") ?? global.value("state-dir"),
    readVariable,
  );
  const journals = invocation.value("journal");
  if (journals !== undefined) useJournals(journals);
  const environment = { ...state, commands: COMMANDS };
  try {
    return await run(invocation, environment);
  } catch (error) {
    throw await explainNotFound(error, spec, invocation.operands, environment);
  }
}

function isHelpWord(word: string | undefined): boolean {
  return word === "--help" || word === "-h";
}

function readVariable(variable: string): string | undefined {
  try {
    return Deno.env.get(variable);
  } catch (error) {
    throw new VirstorError(
      "invalid",
      `Cannot use the environment variable ${variable}: it is not UTF-8`,
      { cause: error },
    );
  }
}

/** The runtime puts U+FFFD in place of bytes that are not UTF-8. */
function refuseUnfaithful(args: readonly string[]): void {
  const word = args.find((each) => !isFaithfulName(each));
  if (word === undefined) return;
  throw new VirstorError(
    "invalid",
    `Cannot use the argument "${word}": it is not UTF-8 (or holds U+FFFD, ` +
      "which stands for that); rename the file, or give it a link with " +
      "another name",
  );
}

/** Prints an error, and returns the exit code. */
function report(error: unknown): number {
  if (error instanceof OutputClosedError) return EXIT_SIGNAL + SIGPIPE;
  if (error instanceof UsageError) {
    printError(`virstor: ${messageOf(error)}\n${error.hint}`);
    return EXIT_USAGE;
  }
  if (error instanceof VirstorError) {
    printError(`virstor: ${messageOf(error)}`);
    return EXIT_CODES[error.code];
  }
  if (isSystemError(error)) {
    printError(`virstor: ${messageOf(error)}`);
    return EXIT_FAILED;
  }
  printInternalError(error);
  return EXIT_INTERNAL;
}

/**
 * Tells whether an error comes from the operating system, or from Deno on its
 * behalf. Deno has no class for every system error, but its messages have the
 * number.
 */
function isSystemError(error: unknown): boolean {
  return Object.values(Deno.errors).some((kind) => error instanceof kind) ||
    (error instanceof Error &&
      ("syscall" in error || /\(os error \d+\)/.test(error.message)));
}

/** Runs the command line of this process, and ends the process. */
export async function runProcess(): Promise<never> {
  // An error in a timer or in an event of a socket has no caller.
  globalThis.addEventListener("unhandledrejection", (event) => {
    event.preventDefault();
    exitWith(report(event.reason));
  });
  globalThis.addEventListener("error", (event) => {
    event.preventDefault();
    exitWith(report(event.error));
  });
  return exitWith(await runCommand(Deno.args));
}

function exitWith(code: number): never {
  finishErrors();
  Deno.exit(code);
}
