/**
 * `virstor label`: makes a pool.
 *
 * @module
 */

import { counted, VirstorError } from "../../errors.ts";
import type { FormatName } from "../../pool/format/mod.ts";
import {
  type LabelOptions,
  labelPool,
  type LabelResult,
} from "../../pool/label/mod.ts";
import { type RemoteComponents, taste } from "../../pool/mod.ts";
import {
  type Environment,
  EXIT_OK,
  formatSize,
  type Invocation,
  parseSize,
  print,
  printNotices,
  printWarnings,
  textTable,
  UsageError,
  withProgress,
} from "../terminal/mod.ts";
import { refuseKnownComponents } from "../registry/mod.ts";
import {
  absolutePaths,
  type ClaimedName,
  remoteComponents,
  whileClaimed,
} from "../state/mod.ts";

/**
 * Makes a pool of files and registers it.
 *
 * @param invocation The command line.
 * @param environment The state directory.
 * @returns The exit code.
 * @throws {VirstorError} If the pool cannot be made; then nothing was written.
 */
export async function run(
  invocation: Invocation,
  environment: Environment,
): Promise<number> {
  const [name = "", ...operands] = invocation.operands;
  const paths = absolutePaths(operands);
  const force = invocation.flag("force");
  const format = formatOption(invocation);
  const virtualSize = sizeOption(invocation, "virsize", "virtual size");
  const chunkSize = sizeOption(invocation, "chunksize", "chunk size");
  const createSize = sizeOption(invocation, "create", "component size");
  const stateDirectory = environment.stateDirectory();
  refuseSeparators(name);
  const remote = remoteComponents(stateDirectory);
  const options: LabelOptions = {
    name,
    paths,
    format,
    force,
    hardcode: invocation.flag("hardcode"),
    preallocate: invocation.flag("preallocate"),
    remote,
    ...virtualSize !== undefined && { virtualSize },
    ...chunkSize !== undefined && { chunkSize },
    ...createSize !== undefined && { createSize },
  };
  const { result, warnings } = await withProgress(
    `Labelling pool "${name}"`,
    whileClaimed(
      stateDirectory,
      name,
      `label pool "${name}"`,
      async (claimed) => {
        if (!force) {
          await refuseKnownName(claimed, name, paths, remote);
          await refuseKnownComponents(stateDirectory, paths);
        }
        const result = await labelPool(options);
        return { result, warnings: await register(claimed, result) };
      },
    ),
  );
  printNotices(result.notices);
  printWarnings(warnings);
  print(summary(result));
  if (invocation.flag("verbose")) print(componentTable(result));
  return EXIT_OK;
}

/** Refuses a name that would be hard to tell from that of a volume. */
function refuseSeparators(name: string): void {
  if (!/[/@]/.test(name)) return;
  throw new VirstorError(
    "invalid",
    `Cannot label pool "${name}": the name has "/" or "@", which separate the ` +
      "names of pools, volumes and snapshots",
  );
}

function formatOption(invocation: Invocation): FormatName {
  const format = invocation.value("format") ?? "native";
  if (format === "native" || format === "freebsd") return format;
  throw new UsageError(
    `Unknown format "${format}"`,
    "Formats are native and freebsd",
  );
}

function sizeOption(
  invocation: Invocation,
  option: string,
  what: string,
): number | undefined {
  const text = invocation.value(option);
  return text === undefined ? undefined : parseSize(text, what);
}

/**
 * Registers the pool. A failure becomes a warning, since the pool is made.
 *
 * @returns The warnings.
 */
async function register(
  { update }: ClaimedName,
  result: LabelResult,
): Promise<string[]> {
  try {
    await update(() => Promise.resolve(result));
    return [];
  } catch (error) {
    if (!(error instanceof VirstorError)) throw error;
    return [
      `${error.message}, or run virstor taste, to find pool "${result.name}"`,
    ];
  }
}

/**
 * Refuses the name of another existing pool: the registry knows one pool of
 * each name.
 */
async function refuseKnownName(
  claimed: ClaimedName,
  name: string,
  paths: readonly string[],
  remote: RemoteComponents,
): Promise<void> {
  const entry = await claimed.read();
  const others = entry?.components.filter((path) => !paths.includes(path));
  if (entry === undefined || others === undefined) return;
  const { pools } = await taste(others, { remote });
  if (pools.some((pool) => pool.name === name && pool.id === entry.id)) {
    throw new VirstorError(
      "exists",
      `Cannot label pool "${name}": a pool of this name exists, on ` +
        `"${others[0]}"; choose another name, or use -f`,
    );
  }
}

function summary(result: LabelResult): string {
  const { name, components, chunkSize } = result;
  const chunks = components.reduce(
    (sum, { chunkCount }) => sum + chunkCount,
    0,
  );
  return `Labelled pool "${name}": ${
    formatSize(result.virtualSize)
  } virtual, ` +
    `${formatSize(chunks * chunkSize)} physical on ` +
    `${counted(components.length, "component")}, ` +
    `chunks of ${formatSize(chunkSize)}`;
}

function componentTable({ components }: LabelResult): string {
  return textTable([
    ["No", "Size", "Chunks", "Reserved", "Path"],
    ...components.map(({ path, size, chunkCount, chunkReserved }, index) => [
      String(index),
      formatSize(size),
      String(chunkCount),
      String(chunkReserved),
      path,
    ]),
  ]);
}
