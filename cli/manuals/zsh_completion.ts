/**
 * The completion script for zsh.
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
  operandCandidates,
  programCases,
  quoted,
  valueCandidates,
} from "./candidates.ts";

/**
 * Makes the completion script for zsh.
 *
 * @param commands All commands.
 * @returns The script, for a file `_virstor` in `fpath`, or for `source`.
 */
export function zshCompletion(commands: readonly CommandSpec[]): string {
  return `#compdef virstor
# Completion of virstor for zsh, made by: virstor completion zsh

_virstor_first_words() {
  local -a first
  first=(
${firstWords(commands).map(described).join("\n")}
  )
  _describe -t commands command first
}

# Completes the second word of a command of two words.
_virstor_second_words() {
  local -a second
  case $1 in
${secondWordCases(commands)}
  *) return 1 ;;
  esac
  _describe -t commands command second
}

# Whether this is a command of two words.
_virstor_is_long() {
  case $1 in
  ${longNames(commands)}) return 0 ;;
  *) return 1 ;;
  esac
}

# Completes the options and operands of a command.
_virstor_arguments() {
  case $1 in
${commands.map(commandCase).join("\n")}
  *) return 1 ;;
  esac
}
${ENGINE.replace("@GLOBAL@", GLOBAL_OPTIONS.flatMap(optionSpecs).join(" "))}`;
}

function described({ name, summary }: { name: string; summary: string }) {
  return `    ${quoted(`${name.replaceAll(":", "\\:")}:${summary}`)}`;
}

function secondWordCases(commands: readonly CommandSpec[]): string {
  const groups = Map.groupBy(
    commands.filter(({ name }) => name.includes(" ")),
    ({ name }) => name.slice(0, name.indexOf(" ")),
  );
  return [...groups].map(([word, specs]) => {
    const lines = specs.map(({ name, summary }) =>
      described({ name: name.slice(word.length + 1), summary })
    );
    return `  ${word})\n    second=(\n${lines.join("\n")}\n    ) ;;`;
  }).join("\n");
}

function longNames(commands: readonly CommandSpec[]): string {
  return commands.map(({ name }) => name)
    .filter((name) => name.includes(" ")).map(quoted).join(" | ");
}

function commandCase(spec: CommandSpec): string {
  const { first, more } = operandCandidates(spec);
  const specs = [
    ...optionsOf(spec).flatMap(optionSpecs),
    ...first.map((candidates, index) =>
      quoted(`${index + 1}:${spec.operands[index]}:${actionOf(candidates)}`)
    ),
    ...more === undefined ? [] : [quoted(`*:argument:${actionOf(more)}`)],
  ];
  const lines = specs.map((each) => `      ${each}`).join(" \\\n");
  return `  ${quoted(spec.name)})\n    _arguments -s -S \\\n${lines} ;;`;
}

/** The words for `_arguments`, one for each name of the option. */
function optionSpecs(option: OptionSpec): string[] {
  const { name, short, value, repeatable, help } = option;
  const candidates = valueCandidates(option);
  const names = short === undefined
    ? [`--${name}`]
    : [`-${short}`, `--${name}`];
  const prefix = repeatable ? "*" : `(${names.join(" ")})`;
  const action = candidates === undefined
    ? ""
    : `:${escaped(value ?? "")}:${actionOf(candidates)}`;
  return names.map((each) => {
    const equals = value !== undefined && each.startsWith("--") ? "=" : "";
    return quoted(`${prefix}${each}${equals}[${escaped(help)}]${action}`);
  });
}

function escaped(text: string): string {
  return text.replaceAll(/[\\[\]:]/g, "\\$&");
}

function actionOf(candidates: Candidates): string {
  switch (candidates.kind) {
    case "files":
      return "_files";
    case "directories":
      return "_files -/";
    case "ends":
      return "_virstor_ends";
    case "names":
      return `_virstor_names ${candidates.of} "${candidates.suffix}"`;
    case "commands":
      return "_virstor_first_words";
    case "words":
      return `(${candidates.words.join(" ")})`;
    case "none":
      return " ";
  }
}

const ENGINE = `
# Completes names of the registry: the last word but one tells of what, the last
# one follows them.
_virstor_names() {
  local directory=$virstor_state program
  if [[ -z $directory ]]; then
    directory=$HOME/.local/state/virstor
    [[ $XDG_STATE_HOME == /* ]] && directory=$XDG_STATE_HOME/virstor
    directory=\${VIRSTOR_STATE_DIR:-$directory}
  fi
  local suffix=$argv[-1] expl
  local -a names
  case $argv[-2] in
${programCases("  ")}
  esac
  names=(\${(f)"$(command sed -n $program $directory/pools/*.json(N) </dev/null 2>/dev/null)"})
  # A name with a dash would be an option.
  ((\${words[(I)--]})) || names=(\${names:#-*})
  if [[ $suffix == [/@] ]]; then
    _wanted names expl name compadd -S $suffix -a names
  else
    _wanted names expl name compadd -a names
  fi
}

# Completes what a copy has at its ends: volumes, snapshots, files.
_virstor_ends() {
  _alternative 'disks:volume:_virstor_names disks ""' \\
    'snapshots:snapshot:_virstor_names snapshots ""' 'files:file:_files'
}

_virstor() {
  local context state state_descr line virstor_state='' index name
  typeset -A opt_args
  for ((index = 2; index < CURRENT; index++)); do
    case $words[index] in
    --state-dir=*) virstor_state=\${(Q)words[index]#*=} ;;
    --state-dir) virstor_state=\${(Q)words[index+1]} ;;
    esac
  done
  virstor_state=\${virstor_state/#\\~\\//$HOME/}
  _arguments -S @GLOBAL@ '1: :->command' '*:: :->words' && return
  case $state in
  command) _virstor_first_words ;;
  words)
    name=$words[1]
    if ((CURRENT == 2)); then
      _virstor_second_words $name
    elif _virstor_is_long "$name $words[2]"; then
      name="$name $words[2]"
      shift words
      ((CURRENT--))
    fi
    _virstor_arguments $name
    ;;
  esac
}

if [[ $funcstack[1] == _virstor ]]; then
  _virstor "$@"
else
  compdef _virstor virstor
fi
`;
