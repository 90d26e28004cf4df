/**
 * The option `--on-event`: which program runs for which events.
 *
 * @module
 */

import { resolve } from "node:path";
import { messageOf, VirstorError } from "../../errors.ts";
import { EVENT_LEVELS, UsageError } from "../terminal/mod.ts";

/** A program that runs for events. */
export interface Hook {
  /** The kinds of events; empty for all. */
  readonly kinds: readonly string[];
  /** The program: an absolute path, or a name to look for in `PATH`. */
  readonly program: string;
  /** Its arguments. */
  readonly args: readonly string[];
}

/** The kinds of events in front of the command. */
const KINDS = /^([a-z-]+(?:,[a-z-]+)*)=(.*)$/s;

/**
 * Reads the value of `--on-event`: `[KIND[,KIND...]=]PROGRAM [ARGUMENT...]`.
 * There is no shell; quotes keep a word with blanks together.
 *
 * @param text The value.
 * @returns The program and its events.
 * @throws {UsageError} If there is no such kind, or no program.
 */
export function parseHook(text: string): Hook {
  const [, list, rest = text] = KINDS.exec(text) ?? [];
  const kinds = list?.split(",") ?? [];
  const unknown = kinds.find((kind) => !Object.hasOwn(EVENT_LEVELS, kind));
  if (unknown !== undefined) {
    throw new UsageError(
      `Option --on-event knows no event "${unknown}"`,
      `The events are: ${Object.keys(EVENT_LEVELS).toSorted().join(", ")}`,
    );
  }
  const [program = "", ...args] = splitWords(rest);
  if (program === "") {
    throw new UsageError(
      `Option --on-event names no program: "${text}"`,
      "For instance --on-event 'watermark,delayed=/usr/local/bin/tell'",
    );
  }
  // A name without a slash is one of PATH.
  const isPath = program.includes("/");
  return { kinds, program: isPath ? resolve(program) : program, args };
}

/**
 * Refuses a program that could not be run when an event comes.
 *
 * @param hook The program.
 * @throws {VirstorError} `not-found`, `unsupported` if Deno may not run it.
 */
export function checkHook({ program }: Hook): void {
  const { state } = Deno.permissions.querySync({
    name: "run",
    command: program,
  });
  if (state !== "granted") {
    throw new VirstorError(
      "unsupported",
      `Cannot run "${program}" for events: Deno does not allow it, start ` +
        "virstor with ./virstor, or set VIRSTOR_ALLOW_ALL=1",
    );
  }
  if (!program.includes("/")) return;
  const fault = faultOf(program);
  if (fault === "") return;
  throw new VirstorError(
    "not-found",
    `Cannot run "${program}" for events: ${fault}, name a program that may ` +
      "be executed",
  );
}

/** What is wrong with a program; "" if nothing is. */
function faultOf(path: string): string {
  try {
    const { isFile, mode } = Deno.statSync(path);
    if (!isFile) return "it is no file";
    return ((mode ?? 0) & 0o111) === 0 ? "its mode lets no user run it" : "";
  } catch (error) {
    return error instanceof Deno.errors.NotFound
      ? "there is no such file"
      : messageOf(error);
  }
}

/** Splits at blanks, but not within quotes, which it takes off. */
function splitWords(text: string): string[] {
  const words = text.matchAll(/(?:[^\s"']|"[^"]*"|'[^']*')+/g);
  return Array.from(
    words,
    ([word]) => word.replaceAll(/"([^"]*)"|'([^']*)'/g, "$1$2"),
  );
}
