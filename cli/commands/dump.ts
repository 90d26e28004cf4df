/**
 * `virstor dump`: prints labels.
 *
 * @module
 */

import { counted, isUri, printable, VirstorError } from "../../errors.ts";
import { resolve } from "node:path";
import { SUPERBLOCK_SLOT_SIZE } from "../../metadata/native/mod.ts";
import type { ComponentLabel } from "../../pool/member/mod.ts";
import { findLabel } from "../../pool/mod.ts";
import {
  type Environment,
  exactSize,
  EXIT_OK,
  type Invocation,
  print,
  printJson,
  textPairs,
} from "../terminal/mod.ts";
import { knownSizeText } from "../registry/mod.ts";
import { absolutePath, remoteComponents } from "../state/mod.ts";

/** A label of one format. */
type LabelOf<Format extends ComponentLabel["format"]> = Extract<
  ComponentLabel,
  { readonly format: Format }
>;

/**
 * Prints the labels of components; prints nothing if one file has no label.
 *
 * @param invocation The command line.
 * @param environment The state directory.
 * @returns The exit code.
 * @throws {VirstorError} `not-found` or `corrupt` for a file without a label.
 */
export async function run(
  invocation: Invocation,
  environment: Environment,
): Promise<number> {
  const labels: [string, ComponentLabel][] = [];
  for (const operand of invocation.operands) {
    const path = isUri(operand) ? absolutePath(operand) : operand;
    labels.push([path, await labelOf(path, environment)]);
  }
  if (invocation.flag("json")) {
    printJson(labels.map(([path, label]) => ({ path, ...label })));
  } else {
    print(
      labels.map(([path, label]) => labelText(path, label)).join("\n\n"),
    );
  }
  return EXIT_OK;
}

/** Reads a label; for a file without one, the registry may know why. */
async function labelOf(
  path: string,
  environment: Environment,
): Promise<ComponentLabel> {
  try {
    const remote = remoteComponents(environment.stateDirectory());
    return await findLabel(path, { remote });
  } catch (error) {
    const isMissing = error instanceof VirstorError &&
      error.code === "not-found";
    if (!isMissing) throw error;
    const known = await knownSizeText(
      environment.stateDirectory(),
      resolve(path),
    );
    if (known === "") throw error;
    throw new VirstorError(error.code, `${error.message}: ${known}`, {
      cause: error,
    });
  }
}

function labelText(path: string, label: ComponentLabel): string {
  const pairs = label.format === "native"
    ? nativePairs(label)
    : freebsdPairs(label);
  return `Label on ${printable(path)}:\n` +
    textPairs([["Format", label.format], ["Pool", label.name], ...pairs], "  ");
}

function freebsdPairs(label: LabelOf<"freebsd">): [string, string][] {
  return [
    ["Id", String(label.id)],
    ["Virtual size", exactSize(label.virtualSize)],
    ["Chunk size", exactSize(label.chunkSize)],
    ["Component", `${label.index} of ${label.count}`],
    ["Component size", exactSize(label.componentSize)],
    ["Chunks", String(label.chunkCount)],
    ["Next chunk", String(label.chunkNext)],
    ["Reserved chunks", String(label.chunkReserved)],
    ["Flags", flagsText(label.flags)],
    ["Hardcoded name", label.hardcodedName],
  ];
}

function nativePairs(label: LabelOf<"native">): [string, string][] {
  const { members, componentUuid, compat, readOnlyCompat } = label;
  const { overflowSize = 0 } = label;
  const index = members.findIndex(({ uuid }) => uuid === componentUuid);
  return [
    ["Id", label.poolUuid],
    ["Generation", String(label.generation)],
    ["Stopped cleanly", label.clean ? "yes" : "no, or it is in use"],
    ["Virtual size", exactSize(label.virtualSize)],
    ["Chunk size", exactSize(label.chunkSize)],
    ["Component", `${index} of ${members.length}, ${componentUuid}`],
    ["Component size", exactSize(label.componentSize)],
    ["Superblock room", exactSize(SUPERBLOCK_SLOT_SIZE + overflowSize)],
    [
      "Features",
      `compat ${hex(compat)}, read-only-compat ${hex(readOnlyCompat)}`,
    ],
    ...members.map(({ uuid, state, chunkCount }, at): [string, string] => [
      `Member ${at}`,
      `${uuid}, ${state}, ${counted(chunkCount, "chunk")}`,
    ]),
  ];
}

function hex(word: number): string {
  return `0x${word.toString(16)}`;
}

function flagsText(flags: number): string {
  const names = [
    ...(flags & 1 ? ["allocated"] : []),
    ...(flags & 2 ? ["current"] : []),
  ];
  return names.length === 0 ? String(flags) : `${flags} (${names.join(", ")})`;
}
