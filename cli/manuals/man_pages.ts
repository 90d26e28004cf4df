/**
 * The manual pages: one of virstor, one of each command.
 *
 * @module
 */

import {
  type CommandSpec,
  EXIT_CODE_MEANINGS,
  GLOBAL_OPTIONS,
  optionsOf,
  type OptionSpec,
} from "../terminal/mod.ts";
import {
  bold,
  escaped,
  italic,
  manualPage,
  tagged,
  usageText,
  wrapped,
} from "./roff.ts";

/** The pool of the examples. */
const EXAMPLE = [
  "virstor label \\-\\-create 10G \\-s 1T vm disk0.img disk1.img",
  "virstor serve vm \\-\\-socket vm.sock &",
  "virstor status vm",
  "virstor add \\-\\-create 10G vm disk2.img",
  "virstor stop vm",
].join("\n");

/**
 * Makes the manual pages.
 *
 * @param commands All commands.
 * @param version The version of virstor.
 * @returns The text of each page, by the name of its file.
 */
export function manualPages(
  commands: readonly CommandSpec[],
  version: string,
): ReadonlyMap<string, string> {
  return new Map([
    ["virstor.1", generalPage(commands, version)],
    ...commands.map((spec) =>
      [`${pageName(spec)}.1`, commandPage(spec, commands, version)] as const
    ),
  ]);
}

function pageName({ name }: CommandSpec): string {
  return `virstor-${name.replaceAll(" ", "-")}`;
}

function generalPage(
  commands: readonly CommandSpec[],
  version: string,
): string {
  return manualPage({ name: "virstor", section: 1, version }, [
    ["NAME", "virstor \\- storage pools on files, served over NBD"],
    [
      "SYNOPSIS",
      `${bold("virstor")} ${usageText("[--state-dir DIR]")} ` +
      `${usageText("COMMAND [ARGUMENT...]")}`,
    ],
    [
      "DESCRIPTION",
      escaped([
        "A pool maps a large virtual disk, chunk by chunk and only when a chunk is",
        "first written, onto component files or block devices. When the pool is full,",
        "writes wait; they resume as soon as a component is added. virstor serves the",
        "disk over NBD.",
      ].join("\n")),
    ],
    [
      "COMMANDS",
      tagged(commands.map((spec) => ({
        term: reference(spec),
        text: spec.summary,
      }))),
    ],
    ["OPTIONS", optionList(GLOBAL_OPTIONS)],
    [
      "SIZES",
      "A size is a number of bytes, or a number with K, M, G, T or P (also KiB,\n" +
      "MiB, ...), all powers of 1024.",
    ],
    ["EXIT STATUS", exitCodes()],
    ["ENVIRONMENT", environment()],
    ["FILES", files()],
    ["EXAMPLES", `.nf\n${EXAMPLE}\n.fi`],
    ["SEE ALSO", seeAlso(commands)],
  ]);
}

function commandPage(
  spec: CommandSpec,
  commands: readonly CommandSpec[],
  version: string,
): string {
  const [word = ""] = spec.name.split(" ");
  const related = commands.filter((each) =>
    each !== spec && each.name.split(" ")[0] === word
  );
  return manualPage({ name: pageName(spec), section: 1, version }, [
    ["NAME", `${escaped(pageName(spec))} \\- ${escaped(spec.summary)}`],
    [
      "SYNOPSIS",
      `${bold(`virstor ${spec.name}`)} ${usageText(spec.usage)}`.trimEnd(),
    ],
    ["DESCRIPTION", descriptionText(spec.description)],
    ["OPTIONS", optionList(optionsOf(spec))],
    [
      "EXIT STATUS",
      `0 if done; ${bold("virstor")}(1) lists the other exit codes.`,
    ],
    [
      "SEE ALSO",
      [`${bold("virstor")}(1)`, ...related.map(reference)]
        .join(",\n"),
    ],
  ]);
}

/** The description of a command; indented lines are terms with a text each. */
function descriptionText(lines: readonly string[]): string {
  const parts: string[] = [];
  let paragraph: string[] = [];
  const end = () => {
    if (paragraph.length === 0) return;
    if (parts.length > 0) parts.push(".PP");
    parts.push(escaped(wrapped(paragraph.join(" "))));
    paragraph = [];
  };
  for (const line of lines) {
    const [, term, text] = /^ {2}(\S+) +(.*)$/.exec(line) ?? [];
    if (term === undefined || text === undefined) {
      paragraph.push(line.trim());
      continue;
    }
    end();
    parts.push(tagged([{ term: bold(term), text: wrapped(text) }]));
  }
  end();
  return parts.join("\n");
}

/** The name of another page, with its section. */
function reference(spec: CommandSpec): string {
  return `${bold(pageName(spec))}(1)`;
}

function seeAlso(commands: readonly CommandSpec[]): string {
  const others = [
    "virstor(5)",
    "nbdinfo(1)",
    "nbdcopy(1)",
    "qemu-img(1)",
    "nbd-client(8)",
  ];
  return [
    ...commands.map(reference),
    ...others.map((page) => page.replace(/^[^(]+/, bold)),
  ].join(",\n");
}

function optionList(options: readonly OptionSpec[]): string {
  return tagged(options.map(({ name, short, value, help, repeatable }) => ({
    term: [
      ...short === undefined ? [] : [bold(`-${short}`)],
      bold(`--${name}`),
    ].join(", ") + (value === undefined ? "" : ` ${usageText(value)}`),
    text: sentence(help) +
      (repeatable && !help.includes("repeatable")
        ? "\nThe option may be given several times."
        : ""),
  })));
}

/** The help of an option as a sentence. */
function sentence(help: string): string {
  // A first word with a mark behind it is what one types.
  const isTyped = !/^[a-z]+ /.test(help);
  return `${isTyped ? help[0] : help[0]?.toUpperCase()}${help.slice(1)}.`;
}

function exitCodes(): string {
  return tagged(EXIT_CODE_MEANINGS.map(([code, text]) => ({
    term: bold(`${code}`),
    text: sentence(text),
  })));
}

function environment(): string {
  return tagged([
    {
      term: bold("VIRSTOR_STATE_DIR"),
      text: "The state directory, unless --state-dir names one.",
    },
    {
      term: `${bold("XDG_STATE_HOME")}, ${bold("HOME")}`,
      text: "Where the state directory is if nothing names it.",
    },
    {
      term: bold("VIRSTOR_ALLOW_ALL"),
      text:
        "If 1, the launcher gives virstor all permissions, as it does for\n" +
        "arguments below /dev.",
    },
  ]);
}

function files(): string {
  return tagged([{
    term: `${italic("$XDG_STATE_HOME/virstor")}, ` +
      italic("~/.local/state/virstor"),
    text:
      "The state directory: the registry of pools and the control sockets.\n" +
      "It may be deleted while no pool is served; virstor taste restores it.",
  }]);
}
