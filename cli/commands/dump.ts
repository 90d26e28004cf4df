/**
 * `virstor dump`: prints labels.
 *
 * @module
 */

import { type ComponentLabel, readLabel } from "../../pool/mod.ts";
import type { Invocation } from "../command.ts";
import { EXIT_OK } from "../exit_code.ts";
import { print, printJson } from "../output.ts";
import { formatSize } from "../size.ts";
import { textPairs } from "../text_table.ts";

/**
 * Prints the labels of components: of all, or of none if one has none.
 *
 * @param invocation The command line.
 * @returns The exit code.
 * @throws {VirstorError} `not-found` or `corrupt` for a file without a label.
 */
export function run(invocation: Invocation): Promise<number> {
  const labels = invocation.operands.map((path): [string, ComponentLabel] => [
    path,
    readLabel(path),
  ]);
  if (invocation.flag("json")) {
    printJson(labels.map(([path, label]) => ({ path, ...label })));
  } else {
    print(
      labels.map(([path, label]) => labelText(path, label)).join("\n\n"),
    );
  }
  return Promise.resolve(EXIT_OK);
}

function labelText(path: string, label: ComponentLabel): string {
  return `Label on ${path}:\n` + textPairs([
    ["Format", label.format],
    ["Pool", label.name],
    ["Id", String(label.id)],
    ["Virtual size", sizeText(label.virtualSize)],
    ["Chunk size", sizeText(label.chunkSize)],
    ["Component", `${label.index} of ${label.count}`],
    ["Component size", sizeText(label.componentSize)],
    ["Chunks", String(label.chunkCount)],
    ["Next chunk", String(label.chunkNext)],
    ["Reserved chunks", String(label.chunkReserved)],
    ["Flags", flagsText(label.flags)],
    ["Hardcoded name", label.hardcodedName],
  ], "  ");
}

function sizeText(bytes: number): string {
  return `${bytes} (${formatSize(bytes)})`;
}

function flagsText(flags: number): string {
  const names = [
    ...(flags & 1 ? ["allocated"] : []),
    ...(flags & 2 ? ["current"] : []),
  ];
  return names.length === 0 ? String(flags) : `${flags} (${names.join(", ")})`;
}
