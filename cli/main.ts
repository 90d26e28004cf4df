/**
 * The command `virstor`: understands the command line, runs the command, and
 * turns what went wrong into one line and an exit code.
 *
 * @module
 */

import config from "../deno.json" with { type: "json" };
import { isFaithfulName } from "../device/block/mod.ts";
import { messageOf, VirstorError } from "../errors.ts";
import {
  commandHelp,
  EXIT_CODES,
  EXIT_FAILED,
  EXIT_INTERNAL,
  EXIT_OK,
  EXIT_SIGNAL,
  EXIT_USAGE,
  generalHelp,
  OutputClosedError,
  parseCommand,
  parseGlobal,
  print,
  printError,
  printInternalError,
  UsageError,
} from "./terminal/mod.ts";
import { COMMANDS, findCommand } from "./commands/mod.ts";
import { findStateDirectory } from "./state/mod.ts";

/** The number of SIGPIPE, which other programs end with in this case. */
const SIGPIPE = 13;

/**
 * Runs one command.
 *
 * @param args The words after `virstor`.
 * @returns The exit code. Never throws.
 */
export async function main(args: readonly string[]): Promise<number> {
  try {
    return await dispatch(args);
  } catch (error) {
    return report(error);
  }
}

async function dispatch(args: readonly string[]): Promise<number> {
  refuseUnfaithful(args);
  const global = parseGlobal(args);
  if (global.flag("version")) {
    print(`virstor ${config.version}`);
    return EXIT_OK;
  }
  const [name, ...rest] = global.operands;
  if (name === undefined || global.flag("help")) {
    if (name === undefined && !global.flag("help")) {
      throw new UsageError("Which command?");
    }
    print(generalHelp(COMMANDS));
    return EXIT_OK;
  }
  const spec = findCommand(name);
  if (spec === undefined) throw new UsageError(`Unknown command "${name}"`);
  const invocation = parseCommand(spec, rest);
  if (invocation.flag("help")) {
    print(commandHelp(spec));
    return EXIT_OK;
  }
  const { run } = await spec.load();
  const state = findStateDirectory(
    invocation.value("state-dir") ?? global.value("state-dir"),
    readVariable,
  );
  return await run(invocation, { ...state, commands: COMMANDS });
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

/** The runtime has U+FFFD in place of what is not UTF-8. */
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

/** Says what went wrong, and gives the exit code. */
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
 * Whether the operating system, or Deno for it, refused something. Deno has no
 * class for every error of the system, but tells the number of each.
 */
function isSystemError(error: unknown): boolean {
  return Object.values(Deno.errors).some((kind) => error instanceof kind) ||
    (error instanceof Error &&
      ("syscall" in error || /\(os error \d+\)/.test(error.message)));
}

if (import.meta.main) {
  // Nobody waits for what fails in a timer or in an event of a socket.
  globalThis.addEventListener("unhandledrejection", (event) => {
    event.preventDefault();
    Deno.exit(report(event.reason));
  });
  globalThis.addEventListener("error", (event) => {
    event.preventDefault();
    Deno.exit(report(event.error));
  });
  Deno.exit(await main(Deno.args));
}
