/**
 * The completion script for fish.
 *
 * @module
 */

import {
  type CommandSpec,
  GLOBAL_OPTIONS,
  optionsOf,
  type OptionSpec,
} from "../terminal/mod.ts";
import {
  type Candidates,
  firstWords,
  NAME_PROGRAMS,
  operandCandidates,
  valueCandidates,
} from "./candidates.ts";

/**
 * Makes the completion script for fish.
 *
 * @param commands All commands.
 * @returns The script.
 */
export function fishCompletion(commands: readonly CommandSpec[]): string {
  const names = commands.map(({ name }) => quoted(name)).join(" ");
  return `# Completion of virstor for fish, made by: virstor completion fish

set -g __virstor_commands ${names}

# Prints the options of a command that take a value.
function __virstor_valued
    switch "$argv"
        case ''
            printf '%s\\n' ${valuedOf(GLOBAL_OPTIONS)}
${commands.map(valuedCase).join("\n")}
    end
end
${ENGINE}
complete -c virstor -e
complete -c virstor -f
${GLOBAL_OPTIONS.map((option) => optionLine("", option)).join("\n")}
${firstWords(commands).map(wordLine).join("\n")}
${commands.map(commandLines).join("\n")}
`;
}

/** Quotes a text for fish, whose single quotes know two escapes. */
function quoted(text: string): string {
  return `'${text.replaceAll(/[\\']/g, "\\$&")}'`;
}

function valuedOf(options: readonly OptionSpec[]): string {
  return options.filter(({ value }) => value !== undefined)
    .flatMap(({ name, short }) =>
      short === undefined ? [`--${name}`] : [`-${short}`, `--${name}`]
    ).join(" ");
}

function valuedCase(spec: CommandSpec): string {
  const valued = valuedOf(optionsOf(spec));
  return `        case ${quoted(spec.name)}\n` +
    `            printf '%s\\n' ${valued}`;
}

function optionLine(command: string, option: OptionSpec): string {
  const { name, short, help } = option;
  const candidates = valueCandidates(option);
  return [
    `complete -c virstor -n ${quoted(`__virstor_is ${quoted(command)}`)}`,
    ...short === undefined ? [] : [`-s ${short}`],
    `-l ${name} -d ${quoted(help)}`,
    ...candidates === undefined ? [] : [`-r ${argumentsOf(candidates)}`],
  ].join(" ");
}

function wordLine({ name, summary }: { name: string; summary: string }) {
  return `complete -c virstor -n ${
    quoted("__virstor_operand '' 0")
  } -a ${name} -d ${quoted(summary)}`;
}

function commandLines(spec: CommandSpec): string {
  const { first, more } = operandCandidates(spec);
  const [word = "", second] = spec.name.split(" ");
  const operandLine = (condition: string, candidates: Candidates) =>
    `complete -c virstor -n ${
      quoted(`__virstor_operand ${quoted(spec.name)} ${condition}`)
    } ${argumentsOf(candidates)}`;
  return [
    ...second === undefined ? [] : [
      `complete -c virstor -n ${
        quoted(`__virstor_operand ${quoted(word)} 0`)
      } -a ${second} -d ${quoted(spec.summary)}`,
    ],
    ...optionsOf(spec).map((option) => optionLine(spec.name, option)),
    ...first.map((candidates, index) => operandLine(`${index}`, candidates)),
    ...more === undefined ? [] : [operandLine(`${first.length} more`, more)],
  ].join("\n");
}

/** The words of `complete` that name the candidates. */
function argumentsOf(candidates: Candidates): string {
  switch (candidates.kind) {
    case "files":
      return "-F";
    case "ends":
      return "-F -a '(__virstor_names disks \\'\\'; " +
        "__virstor_names snapshots \\'\\')'";
    case "directories":
      return "-f -a '(__fish_complete_directories)'";
    case "names":
      return `-f -a '(__virstor_names ${candidates.of} ${candidates.suffix})'`;
    case "commands":
      return "-f -a '$__virstor_commands'";
    case "words":
      return `-f -a ${quoted(candidates.words.join(" "))}`;
    case "none":
      return "-f";
  }
}

function fishProgramCases(): string {
  return Object.entries(NAME_PROGRAMS).map(([kind, program]) =>
    `        case ${kind}\n            set program ${quoted(program)}`
  ).join("\n");
}

const ENGINE = `
# Prints the command on the line, then its operands, a line each.
function __virstor_line
    set -l command ''
    set -l operands
    set -l skip 0
    set -l ended 0
    for word in (commandline -opc)[2..-1]
        if test $skip = 1
            set skip 0
        else if test $ended = 0; and test "$word" = --
            set ended 1
        else if test $ended = 0; and string match -qr '^-.' -- $word
            contains -- $word (__virstor_valued $command)
            and set skip 1
        else if test -z "$command"
            set command $word
        else if test (count $operands) = 0; and contains -- "$command $word" $__virstor_commands
            set command "$command $word"
        else
            set -a operands $word
        end
    end
    echo $command
    printf '%s\\n' $operands
end

# Whether the line has this command.
function __virstor_is
    set -l line (__virstor_line)
    test "$line[1]" = "$argv[1]"
end

# Whether the line has this command, and so many operands, or more.
function __virstor_operand
    set -l line (__virstor_line)
    test "$line[1]" = "$argv[1]"; or return
    set -l operands (math (count $line) - 1)
    test "$line[2]" = ''; and set operands 0
    test $operands = $argv[2]; and return
    test "$argv[3]" = more; and test $operands -gt $argv[2]
end

# Prints names of the registry: $argv[1] tells of what, $argv[2] follows them.
function __virstor_names
    set -l directory "$HOME/.local/state/virstor"
    string match -q '/*' -- "$XDG_STATE_HOME"
    and set directory "$XDG_STATE_HOME/virstor"
    test -n "$VIRSTOR_STATE_DIR"
    and set directory $VIRSTOR_STATE_DIR
    set -l words (commandline -opc)
    for index in (seq (count $words))
        switch $words[$index]
            case '--state-dir=*'
                set directory (string replace -- --state-dir= '' $words[$index])
            case --state-dir
                set directory $words[(math $index + 1)]
        end
    end
    set -l program
    switch $argv[1]
${fishProgramCases()}
    end
    set -l files $directory/pools/*.json
    test (count $files) -gt 0
    or return
    # A name with a dash would be an option.
    set -l dashed '^(?!-)'
    contains -- -- $words
    and set dashed ''
    command sed -n $program $files 2>/dev/null | string match -r -- "$dashed.*" | string replace -r '$' -- "$argv[2]"
end
`;
