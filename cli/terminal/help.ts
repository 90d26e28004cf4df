/**
 * Makes the help texts from the table of commands.
 *
 * @module
 */

import { GLOBAL_OPTIONS } from "./arguments.ts";
import { type CommandSpec, optionsOf, type OptionSpec } from "./command.ts";
import { EXIT_CODE_MEANINGS } from "./exit_code.ts";

/**
 * The help of virstor as a whole.
 *
 * @param commands All commands.
 * @returns The text.
 */
export function generalHelp(commands: readonly CommandSpec[]): string {
  const width = Math.max(...commands.map(({ name }) => name.length));
  return [
    "virstor: storage pools on files, served over NBD",
    "",
    "Usage: virstor [--state-dir DIR] COMMAND [ARGUMENT...]",
    "",
    "Commands:",
    ...commands.map(({ name, summary }) =>
      `  ${name.padEnd(width)}  ${summary}`
    ),
    "",
    "Options:",
    ...optionLines(GLOBAL_OPTIONS),
    "",
    "Sizes are bytes, or a number with K, M, G, T or P (also KiB, MiB, ...).",
    "The state directory is --state-dir, else VIRSTOR_STATE_DIR, else",
    "$XDG_STATE_HOME/virstor, else ~/.local/state/virstor.",
    "",
    "Exit codes:",
    ...EXIT_CODE_MEANINGS.map(([code, meaning]) =>
      `  ${String(code).padStart(2)}  ${meaning}`
    ),
    "",
    'For the help of one command: "virstor help COMMAND".',
  ].join("\n");
}

/**
 * The help of one command.
 *
 * @param spec The command.
 * @returns The text.
 */
export function commandHelp(spec: CommandSpec): string {
  return [
    `Usage: virstor ${spec.name} ${spec.usage}`.trimEnd(),
    "",
    ...spec.description,
    "",
    "Options:",
    ...optionLines(optionsOf(spec)),
  ].join("\n");
}

/** A line for each option, with the sentences in one column. */
function optionLines(options: readonly OptionSpec[]): string[] {
  const heads = options.map(({ name, short, value }) =>
    (short === undefined ? "    " : `-${short}, `) + `--${name}` +
    (value === undefined ? "" : ` ${value}`)
  );
  const width = Math.max(...heads.map((head) => head.length));
  return options.map(({ help }, index) =>
    `  ${(heads[index] ?? "").padEnd(width)}  ${help}`
  );
}
