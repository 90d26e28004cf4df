/**
 * Text for manual pages, in the macros of man(7).
 *
 * @module
 */

/**
 * Escapes a text.
 *
 * @param text The text, any number of lines.
 * @returns The same for roff: dashes are those of ASCII, no line is a request.
 */
export function escaped(text: string): string {
  return text
    .replaceAll("\\", "\\e")
    .replaceAll("-", "\\-")
    .replaceAll("~", "\\(ti")
    .replaceAll("^", "\\(ha")
    .replaceAll("`", "\\(ga")
    .replaceAll(/^([.'])/gm, "\\&$1");
}

/**
 * Breaks a text into lines that stay short when they are escaped.
 *
 * @param text The text.
 * @returns The same in lines.
 */
export function wrapped(text: string): string {
  return text.replaceAll(/(.{1,68})(?: |$)/g, "$1\n").trimEnd();
}

/**
 * Formats a word that is typed as it stands.
 *
 * @param text The word.
 * @returns The word in bold.
 */
export function bold(text: string): string {
  return `\\fB${escaped(text)}\\fR`;
}

/**
 * Formats a word that stands for another.
 *
 * @param text The word.
 * @returns The word in italics.
 */
export function italic(text: string): string {
  return `\\fI${escaped(text)}\\fR`;
}

/**
 * Formats the usage of a command: options in bold, placeholders in italics.
 *
 * @param usage The usage, as in the help.
 * @returns One line.
 */
export function usageText(usage: string): string {
  const parts = usage.trim().split(/\s+/).join(" ")
    .split(/((?<![\w-])--?[a-z][\w-]*|[A-Z][A-Z]*[A-Z0-9]*)/);
  return parts.map((part, index) => {
    if (index % 2 === 0) return escaped(part);
    return part.startsWith("-") ? bold(part) : italic(part);
  }).join("");
}

/** A paragraph with a term before it. */
export interface TaggedText {
  /** The term, formatted. */
  readonly term: string;
  /** The paragraph. */
  readonly text: string;
}

/**
 * Formats paragraphs with terms before them.
 *
 * @param entries The paragraphs.
 * @returns The lines.
 */
export function tagged(entries: readonly TaggedText[]): string {
  return entries.map(({ term, text }) => `.TP\n${term}\n${escaped(text)}`)
    .join("\n");
}

/** A section of a page. */
export type Section = readonly [heading: string, text: string];

/** What the head of a page says. */
export interface PageHead {
  /** The name of the page. */
  readonly name: string;
  /** The section of the manual. */
  readonly section: number;
  /** The version of virstor. */
  readonly version: string;
}

/** When the manual was last revised as a whole. */
const DATE = "2026-11-29";

/**
 * Makes a page.
 *
 * @param head What its head says.
 * @param sections Its sections, in order; empty ones are left out.
 * @returns The page.
 */
export function manualPage(
  { name, section, version }: PageHead,
  sections: readonly Section[],
): string {
  const title = name.toUpperCase().replaceAll("-", "\\-");
  return [
    '.\\" Made by "deno task man" from the tables of commands.',
    `.TH ${title} ${section} ${DATE} "virstor ${version}" "virstor manual"`,
    ...sections.filter(([, text]) => text !== "").map(([heading, text]) =>
      `.SH ${heading}\n${text}`
    ),
    "",
  ].join("\n");
}
