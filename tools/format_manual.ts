/**
 * Makes the manual page of the on-disk formats, `virstor(5)`, of the page
 * `docs/format.md`.
 *
 * @module
 */

import { manualPage, type Section } from "../cli/manuals/mod.ts";

/** Lines of a block of the page: a paragraph, a table, a list, code. */
type Block = readonly string[];

/**
 * Makes the page.
 *
 * @param markdown The text of `docs/format.md`.
 * @param version The version of virstor.
 * @returns The text of the manual page.
 */
export function formatManual(markdown: string, version: string): string {
  const sections: Section[] = [[
    "NAME",
    "virstor \\- on-disk formats of storage pools",
  ]];
  let [heading, lines]: [string, string[]] = ["DESCRIPTION", []];
  const end = () => sections.push([heading, blocksText(blocksOf(lines))]);
  let isCode = false;
  for (const line of markdown.split("\n")) {
    if (line.startsWith("```")) isCode = !isCode;
    const [, title] = isCode ? [] : /^## (.*)$/.exec(line) ?? [];
    if (title === undefined) {
      if (!line.startsWith("# ")) lines.push(line);
      continue;
    }
    end();
    [heading, lines] = [inline(title).toUpperCase(), []];
  }
  end();
  sections.push(["SEE ALSO", "\\fBvirstor\\fR(1)"]);
  return manualPage({ name: "virstor", section: 5, version }, sections);
}

function blocksOf(lines: readonly string[]): Block[] {
  const blocks: string[][] = [];
  let current: string[] = [];
  let isCode = false;
  for (const line of lines) {
    if (line.startsWith("```")) isCode = !isCode;
    const isEnd = line.trim() === "" && !isCode;
    if (isEnd && current.length > 0) {
      blocks.push(current);
      current = [];
    } else if (!isEnd) current.push(line);
  }
  return current.length > 0 ? [...blocks, current] : blocks;
}

function blocksText(blocks: readonly Block[]): string {
  let isAfterHeading = true;
  const parts: string[] = [];
  for (const block of blocks) {
    const text = blockText(block);
    if (text === "") continue;
    const isOwn = /^\.(SS|TP|IP)/.test(text);
    if (!isAfterHeading && !isOwn) parts.push(".PP");
    parts.push(text);
    isAfterHeading = text.startsWith(".SS");
  }
  return parts.join("\n");
}

function blockText(block: Block): string {
  const [first = ""] = block;
  const [, heading] = /^#+ (.*)$/.exec(first) ?? [];
  if (heading !== undefined) return `.SS ${inline(heading)}`;
  if (first.startsWith("```")) {
    // Examples in TypeScript are for readers of the repository.
    if (first.startsWith("```ts")) return "";
    const code = block.slice(1, -1).map((line) => escape(line));
    return [".nf", ...code, ".fi"].join("\n");
  }
  if (first.startsWith("|")) return tableText(block);
  if (/^(-|\d+\.) /.test(first)) return listText(block);
  return paragraph(block.join(" "));
}

/** A row of a table is a term, its last column the text of the term. */
function tableText([heading = "", , ...rows]: Block): string {
  const cells = (row: string) =>
    row.split(/(?<!\\)\|/).slice(1, -1)
      .map((cell) => cell.trim().replaceAll("\\|", "|"));
  const names = cells(heading);
  return rows.map((row) => {
    const all = cells(row);
    const last = all.pop() ?? "";
    const term = all.map((cell, column) =>
      `${inline(names[column] ?? "")} ${inline(cell)}`.trim()
    ).join(", ");
    return `.TP\n${term}\n${paragraph(last === "" ? "-" : last)}`;
  }).join("\n");
}

function listText(block: Block): string {
  const items: string[] = [];
  for (const line of block) {
    const [, text] = /^(?:-|\d+\.) (.*)$/.exec(line) ?? [];
    if (text !== undefined) items.push(text);
    else items.push(`${items.pop() ?? ""} ${line.trim()}`);
  }
  return items.map((item) => `.IP \\(bu 2\n${paragraph(item)}`).join("\n");
}

/** A paragraph in lines of moderate length. */
function paragraph(text: string): string {
  const words = text.trim().split(/\s+/).join(" ");
  return inline(words).replaceAll(/(.{1,68})(?: |$)/g, "$1\n").trimEnd()
    .split("\n").map(protect).join("\n");
}

/** Links become their texts, code becomes bold, emphasis italic. */
function inline(text: string): string {
  return text.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, "$1")
    .split(/(`[^`]*`)/).map((part) =>
      part.startsWith("`") && part.length > 1
        ? `\\fB${escape(part.slice(1, -1))}\\fR`
        : escape(part)
          .replaceAll(/\*\*([^*]+)\*\*/g, "\\fB$1\\fR")
          .replaceAll(/(?<![\w])_([^_]+)_(?![\w])/g, "\\fI$1\\fR")
    ).join("");
}

function escape(text: string): string {
  return protect(
    text.replaceAll("\\", "\\e").replaceAll("-", "\\-")
      .replaceAll("~", "\\(ti").replaceAll("^", "\\(ha")
      .replaceAll("`", "\\(ga"),
  );
}

/** A line that begins with a control character is no request. */
function protect(line: string): string {
  return line.replace(/^([.'])/, "\\&$1");
}
