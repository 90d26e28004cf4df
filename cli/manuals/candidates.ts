/**
 * What may stand for an operand or a value of an option: pools, files, words.
 *
 * @module
 */

import type { CommandSpec, OptionSpec } from "../terminal/mod.ts";

/** Commands whose first operand is the name of a pool that is not there yet. */
const NAMING: readonly string[] = ["label"];

/** What the registry has names of. */
export type NameKind =
  | "pools"
  | "volumes" // all but the first of each pool
  | "disks" // pools and volumes: what has a disk
  | "snapshots";

/** Operands that name what is not there yet. */
const NEW: readonly (readonly [command: string, operand: number])[] = [
  ["volume create", 0],
  ["clone", 1],
];
/** The command whose operands are snapshots that are not there yet. */
const TAKING = "snapshot";

/** Where candidates come from. */
export type Candidates =
  /** The system: files, or directories. */
  | { readonly kind: "files" | "directories" }
  /** Files, and volumes and snapshots of the registry. */
  | { readonly kind: "ends" }
  /** The registry; `suffix` follows each name. */
  | {
    readonly kind: "names";
    readonly of: NameKind;
    readonly suffix: "" | "/" | "@";
  }
  /** The table of commands. */
  | { readonly kind: "commands" }
  /** A fixed list. */
  | { readonly kind: "words"; readonly words: readonly string[] }
  /** Nowhere: sizes, numbers, new names. */
  | { readonly kind: "none" };

/** The operands of a command. */
export interface OperandCandidates {
  /** For each operand that must be given, in order. */
  readonly first: readonly Candidates[];
  /** For all operands behind these; undefined if there may be none. */
  readonly more: Candidates | undefined;
}

/**
 * The candidates for the value of an option.
 *
 * @param option The option.
 * @returns The candidates; undefined for a switch.
 */
export function valueCandidates(
  { value, words }: OptionSpec,
): Candidates | undefined {
  if (words !== undefined) return { kind: "words", words };
  // This is a command of the shell, not one of virstor.
  if (value === "COMMAND") return { kind: "none" };
  return value === undefined ? undefined : candidatesOf(value);
}

/**
 * The candidates for the operands of a command.
 *
 * @param spec The command. The last word of its usage names the operands that
 *   may follow those that must be given.
 * @returns The candidates.
 */
export function operandCandidates(
  { name, usage, operands, moreOperands }: CommandSpec,
): OperandCandidates {
  const isNew = (index: number) =>
    name === TAKING ||
    NEW.some(([command, operand]) => command === name && operand === index);
  const first = operands.map((operand, index) =>
    index === 0 && NAMING.includes(name)
      ? { kind: "none" } as const
      : candidatesOf(operand, isNew(index))
  );
  if (!moreOperands) return { first, more: undefined };
  const last = (usage.split(/\s+/).at(-1) ?? "").replace(/^\[(?=[A-Z])/, "");
  return { first, more: candidatesOf(last, isNew(first.length)) };
}

/** The candidates for what the help calls `NAME`, `PATH` and so on. */
function candidatesOf(word: string, isNew = false): Candidates {
  const name = /^[A-Z]+/.exec(word)?.[0] ?? "";
  if (/^[a-z]+(\|[a-z]+)+$/.test(word)) {
    return { kind: "words", words: word.split("|") };
  }
  switch (name) {
    case "NAME":
      return { kind: "names", of: "pools", suffix: "" };
    case "POOL":
      return namesOf(word, isNew);
    case "PATH":
    case "FILE":
      return { kind: "files" };
    case "SOURCE":
    case "TARGET":
      return { kind: "ends" };
    case "DIR":
      return { kind: "directories" };
    case "COMMAND":
      return { kind: "commands" };
    default:
      return { kind: "none" };
  }
}

/** The candidates for a word such as `POOL[/VOLUME]@NAME`. */
function namesOf(word: string, isNew: boolean): Candidates {
  const kind = "names";
  const needed = word.replaceAll(/\[[^\]]*\]/g, "");
  if (needed.startsWith("POOL@")) {
    return isNew
      ? { kind, of: "disks", suffix: "@" }
      : { kind, of: "snapshots", suffix: "" };
  }
  if (needed.startsWith("POOL/")) {
    return isNew
      ? { kind, of: "pools", suffix: "/" }
      : { kind, of: "volumes", suffix: "" };
  }
  const of = word.includes("[@")
    ? "snapshots"
    : word.startsWith("POOL[/")
    ? "disks"
    : "pools";
  return { kind, of, suffix: "" };
}

/** A command, or a word that commands of two words begin with. */
export interface FirstWord {
  /** The word. */
  readonly name: string;
  /** One line. */
  readonly summary: string;
}

/**
 * The words that a command line may begin with.
 *
 * @param commands All commands.
 * @returns The commands of one word, and the first words of the others.
 */
export function firstWords(commands: readonly CommandSpec[]): FirstWord[] {
  const words = new Map<string, string>();
  for (const { name, summary } of commands) {
    const [word = "", second] = name.split(" ");
    if (second === undefined) words.set(word, summary);
    else if (!words.has(word)) words.set(word, secondWords(commands, word));
  }
  return [...words].map(([name, summary]) => ({ name, summary }));
}

function secondWords(commands: readonly CommandSpec[], word: string): string {
  return commands.filter(({ name }) => name.startsWith(`${word} `))
    .map(({ name }) => name.slice(word.length + 1)).join(", ");
}

/**
 * Quotes a text for a shell.
 *
 * @param text The text.
 * @returns The text in single quotes.
 */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/**
 * The programs of `sed` that print names from files of the registry. They leave
 * out names with characters that JSON escapes.
 */
export const NAME_PROGRAMS: { readonly [Kind in NameKind]: string } = (() => {
  const pools = `s/^  "name": "\\([^"\\\\]*\\)",\\{0,1\\}$/\\1/p`;
  const listed = (pattern: string) =>
    `/^  "volumes": \\[$/,/^  \\]/s/^    "\\(${pattern}\\)",\\{0,1\\}$/\\1/p`;
  const volumes = listed(`[^"\\\\@]*`);
  return {
    pools,
    volumes,
    disks: `${pools};${volumes}`,
    snapshots: listed(`[^"\\\\]*@[^"\\\\]*`),
  };
})();

/**
 * Makes the cases of a shell that set `program` to the program of each kind of
 * name.
 *
 * @param indent What each line begins with.
 * @returns The lines.
 */
export function programCases(indent: string): string {
  return Object.entries(NAME_PROGRAMS).map(([kind, program]) =>
    `${indent}${kind}) program=${quoted(program)} ;;`
  ).join("\n");
}
