/**
 * The completion script for bash. It works without the package
 * bash-completion, and never evaluates the name of a pool or a file.
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
 * Makes the completion script for bash.
 *
 * @param commands All commands.
 * @returns The script.
 */
export function bashCompletion(commands: readonly CommandSpec[]): string {
  const words = firstWords(commands).map(({ name }) => name).join(" ");
  return `# Completion of virstor for bash, made by: virstor completion bash

# What may follow a command: sets options, values, operands and more.
_virstor_command() {
  options='' values='' operands='' more=''
  case $1 in
  '') ${settingsOf(GLOBAL_OPTIONS)} operands=commands ;;
${commands.map(commandCase).join("\n")}
  *) return 1 ;;
  esac
}

# Prints the second words of commands of two words.
_virstor_second_words() {
  case $1 in
${secondWordCases(commands)}
  esac
}

_virstor_first_words='${words}'
${ENGINE}`;
}

function commandCase(spec: CommandSpec): string {
  const { first, more } = operandCandidates(spec);
  const operands = first.map(encoded).join(" ");
  const rest = more === undefined ? "" : encoded(more);
  return `  ${quoted(spec.name)}) ${settingsOf(optionsOf(spec))} ` +
    `operands=${quoted(operands)} more=${quoted(rest)} ;;`;
}

function settingsOf(options: readonly OptionSpec[]): string {
  const names = options.flatMap(namesOf);
  const values = options.flatMap((option) => {
    const candidates = valueCandidates(option);
    if (candidates === undefined) return [];
    return namesOf(option).map((name) => `${name}=${encoded(candidates)}`);
  });
  return `options=${quoted(names.join(" "))} values=${
    quoted(values.join(" "))
  }`;
}

function namesOf({ name, short }: OptionSpec): string[] {
  return short === undefined ? [`--${name}`] : [`-${short}`, `--${name}`];
}

/** Candidates as one word, which `_virstor_reply` understands. */
function encoded(candidates: Candidates): string {
  switch (candidates.kind) {
    case "words":
      return `words:${candidates.words.join("|")}`;
    case "names":
      return `names:${candidates.of}:${candidates.suffix}`;
    default:
      return candidates.kind;
  }
}

function secondWordCases(commands: readonly CommandSpec[]): string {
  const groups = Map.groupBy(
    commands.map(({ name }) => name.split(" ")).filter(({ length }) =>
      length > 1
    ),
    ([word = ""]) => word,
  );
  return [...groups].map(([word, names]) =>
    `  ${word}) echo '${names.map(([, second]) => second).join(" ")}' ;;`
  ).join("\n");
}

const ENGINE = `
# Prints names of the registry, a line each: of pools, volumes or snapshots.
_virstor_names() {
  local directory=$1 program
  if [[ -z $directory ]]; then
    directory=$HOME/.local/state/virstor
    [[ \${XDG_STATE_HOME-} == /* ]] && directory=$XDG_STATE_HOME/virstor
    directory=\${VIRSTOR_STATE_DIR:-$directory}
  fi
  case $2 in
${programCases("  ")}
  esac
  command sed -n "$program" "$directory"/pools/*.json 2>/dev/null
}

# Sets kind to what the value of an option is; fails for a switch.
_virstor_value_kind() {
  local pair
  for pair in $values; do
    [[ $pair == "$1="* ]] || continue
    kind=\${pair#*=}
    return 0
  done
  return 1
}

# Adds the candidates that begin with the value.
_virstor_add() {
  local word
  for word; do
    [[ $word == "$value"* ]] && COMPREPLY+=("$word")
  done
}

# Adds the files that begin with the value, or the directories. compgen knows
# "~", and separates names by newlines, which a name may have.
_virstor_files() {
  local word names
  compopt -o filenames 2>/dev/null
  if [[ $value == '~'* ]]; then
    mapfile -t names < <(compgen "$1" -- "$value")
    COMPREPLY+=("\${names[@]}")
    return
  fi
  for word in "$value"*; do
    [[ -d $word || ($1 == -f && (-e $word || -L $word)) ]] &&
      COMPREPLY+=("$word")
  done
}

# Adds names that begin with the value. One with a dash would be an option.
_virstor_add_names() {
  local word
  for word; do
    [[ -z $ended && $word == -* ]] || _virstor_add "$word"
  done
}

# Fills COMPREPLY with candidates of a kind for the value.
_virstor_reply() {
  local names
  case $1 in
  files) _virstor_files -f ;;
  directories) _virstor_files -d ;;
  ends)
    mapfile -t names < <(
      _virstor_names "$state" disks
      _virstor_names "$state" snapshots
    )
    _virstor_add_names "\${names[@]}"
    _virstor_files -f
    ;;
  names:*)
    local of=\${1#names:}
    mapfile -t names < <(_virstor_names "$state" "\${of%:*}")
    _virstor_add_names "\${names[@]/%/\${of#*:}}"
    [[ $1 == *: ]] || compopt -o nospace 2>/dev/null
    ;;
  commands) _virstor_add $_virstor_first_words ;;
  words:*)
    IFS='|' read -ra names <<<"\${1#words:}"
    _virstor_add "\${names[@]}"
    ;;
  esac
}

# Puts the words together that COMP_WORDBREAKS has taken apart.
_virstor_words() {
  local line=$COMP_LINE word before i
  words=()
  for ((i = 0; i <= COMP_CWORD; i++)); do
    word=\${COMP_WORDS[i]}
    if [[ -n $word ]]; then
      before=\${line%%"$word"*}
      line=\${line#"$before"}
    else
      before=\${line%%[![:space:]]*}
    fi
    if ((i > 1)) && [[ -z $before ]]; then
      words[\${#words[@]} - 1]+=$word
    else
      words+=("$word")
    fi
    line=\${line#"$word"}
  done
}

# Reads the words before the current one: sets command, state, count (of the
# operands), kind (of the value of an option that stands before) and ended.
_virstor_read() {
  local word i last=$((\${#words[@]} - 1))
  _virstor_command ''
  for ((i = 1; i < last; i++)); do
    word=\${words[i]}
    kind=''
    if [[ -z $ended && $word == -- ]]; then
      ended=1
    elif [[ -z $ended && $word == --*=* ]]; then
      [[ $word == --state-dir=* ]] && state=\${word#*=}
    elif [[ -z $ended && $word == -?* ]]; then
      [[ $word == --* ]] || {
        # With its value, as in -s10G.
        ((\${#word} > 2)) && _virstor_value_kind "\${word:0:2}" && kind='' && continue
        word=-\${word: -1}
      }
      if _virstor_value_kind "$word"; then
        ((++i < last)) || return
        [[ $word == --state-dir ]] && state=\${words[i]}
        kind=''
      fi
    elif [[ -z $command ]]; then
      command=$word
      if ((i + 1 < last)) && _virstor_command "$word \${words[i + 1]}"; then
        command+=" \${words[++i]}"
      fi
      _virstor_command "$command"
    else
      ((count++))
    fi
  done
}

_virstor() {
  COMPREPLY=()
  local words command='' state='' kind='' ended='' count=0 cut='' prefix=''
  local options values operands more value current names i
  _virstor_words
  _virstor_read
  state=\${state/#\\~\\//$HOME/}
  current=\${words[\${#words[@]} - 1]}
  value=$current
  if [[ -n $kind ]]; then
    :
  elif [[ -z $ended && $current == --*=* ]]; then
    value=\${current#*=}
    [[ $COMP_WORDBREAKS == *=* ]] || prefix=\${current%%=*}=
    _virstor_value_kind "\${current%%=*}" || return 0
  elif [[ -z $ended && $current == -* ]]; then
    kind=words:\${options// /|}
  else
    read -ra names <<<"$operands"
    kind=\${names[count]-$more}
  fi
  # Names are quoted below unless the word is quoted already.
  local quote=\${value:0:1}
  [[ $quote == [\\"\\'] ]] && value=\${value:1} || quote=''
  [[ $COMP_WORDBREAKS == *:* && -z $quote ]] && cut=\${value%"\${value##*[:=@]}"}
  # Readline keeps this one at the start of the word.
  cut=\${cut%@}
  value=\${value//\\\\/}
  cut=\${cut//\\\\/}
  if [[ $kind != words:-* && $count == 0 && -n $command ]]; then
    _virstor_add $(_virstor_second_words "$command")
  fi
  names=("\${COMPREPLY[@]}")
  COMPREPLY=()
  _virstor_reply "$kind"
  COMPREPLY=("\${names[@]}" "\${COMPREPLY[@]}")
  for i in "\${!COMPREPLY[@]}"; do
    COMPREPLY[i]=$prefix\${COMPREPLY[i]#"$cut"}
    if [[ -z $quote && $kind == names:* ]]; then
      printf -v 'COMPREPLY[i]' %q "\${COMPREPLY[i]}"
    fi
  done
}

complete -F _virstor virstor ./virstor
`;
