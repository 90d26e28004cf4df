/**
 * Files that are to become components: everything that can be wrong with them
 * is found out before anything is written.
 *
 * @module
 */

import {
  createSparseFile,
  fileIdentity,
  FileInUseError,
  missingDirectory,
  removeFile,
} from "../../device/file/mod.ts";
import { counted, inBytes, isOrAre, VirstorError } from "../../errors.ts";
import { FREEBSD_NAME_LENGTH_MAX } from "../../metadata/freebsd/mod.ts";
import {
  type ComponentDevice,
  type OpenDevice,
  withPatience,
} from "../core/mod.ts";
import { hasLabel, readComponentLabel } from "./component_label.ts";
import type { ComponentLayout } from "./component_layout.ts";
import {
  findMovedLabelLater,
  type MovedLabel,
  MovedLabelError,
  movedText,
} from "./moved_label.ts";
import { refuseSignatures, refuseUsers } from "./occupied.ts";

/** A file that can become a component; open and locked. */
export interface Candidate {
  /** What it is kept on. */
  readonly device: ComponentDevice;
  /** Bytes that are used, whole sectors or pages. */
  readonly size: number;
  /** Chunks that fit on it. */
  readonly chunkCount: number;
  /** Its file name if it is to have no other, or "". */
  readonly hardcodedName: string;
  /** Whether the file was made just now. */
  readonly isNew: boolean;
}

/** A file that is there or is to be made, before anything is made. */
export interface FutureComponent {
  /** Where it is, or will be. */
  readonly path: string;
  /** Chunks that fit on it. */
  readonly chunkCount: number;
}

/** What is asked of candidates. */
export interface CandidateOptions {
  /** How they are divided. */
  readonly layout: ComponentLayout;
  /**
   * Also take files that carry a label or hold something else, and those that
   * other processes read.
   */
  readonly force: boolean;
  /** Make missing files, of this many bytes; undefined: they are missing. */
  readonly createSize: number | undefined;
  /** Tie each to its file name. */
  readonly hardcode: boolean;
  /** Files that are in the pool already: identity to path. */
  readonly taken: ReadonlyMap<string, string>;
  /** How they are opened. */
  readonly openDevice: OpenDevice;
  /** Throws if the first one will not do, before anything is made. */
  readonly check?: (first: FutureComponent) => void;
}

/**
 * Checks files that are to become components, and makes those that are
 * missing. Nothing is made before all that are there are found to be good.
 *
 * @param paths The files.
 * @param options What is asked of them.
 * @returns The candidates, in order, open and locked exclusively.
 * @throws {VirstorError} `not-found`, `exists` if one carries a label or
 *   anything else that may still be needed, or is given twice, `invalid`,
 *   `busy` if one is in use, `io`. Nothing is open or new then.
 */
export async function openCandidates(
  paths: readonly string[],
  options: CandidateOptions,
): Promise<Candidate[]> {
  const opened = await withPatience(() => openAll(paths, options));
  const created: string[] = [];
  try {
    // They are locked by now: what is found stays as it is, as far as the
    // programs that could change it heed locks.
    for (const device of opened) {
      if (device !== undefined) await inspect(device, options.force);
    }
    return await complete(paths, options, opened, created);
  } catch (error) {
    for (const device of opened) await device?.close();
    for (const path of created) removeFile(path);
    throw error;
  }
}

/** Opens and checks those that are there. */
function openAll(
  paths: readonly string[],
  options: CandidateOptions,
): (ComponentDevice | undefined)[] {
  const taken = new Map(options.taken);
  const opened: (ComponentDevice | undefined)[] = [];
  try {
    for (const path of paths) opened.push(open(path, options, taken));
    return opened;
  } catch (error) {
    for (const device of opened) device?.close();
    throw error;
  }
}

/** Refuses what may still be needed. */
async function inspect(device: ComponentDevice, force: boolean): Promise<void> {
  await refuseUsers(device, force);
  if (force) return;
  const label = hasLabel(device)
    ? labelOf(device)
    : await findMovedLabelLater(device);
  if (label !== undefined) {
    const what = typeof label === "string"
      ? `it carries a label${label} already, -f overwrites it`
      : `${movedText(device, label)}, or overwrite it with -f`;
    throw new VirstorError("exists", `Cannot use "${device.path}": ${what}`);
  }
  await refuseSignatures(device);
}

/** Makes those that are missing. */
async function complete(
  paths: readonly string[],
  options: CandidateOptions,
  opened: (ComponentDevice | undefined)[],
  created: string[],
): Promise<Candidate[]> {
  const { layout } = options;
  const [first] = paths;
  if (first !== undefined) {
    const size = opened[0]?.size ?? options.createSize ?? 0;
    options.check?.({ path: first, chunkCount: layout.chunkCountOf(size) });
  }
  const candidates: Candidate[] = [];
  for (const [i, path] of paths.entries()) {
    let device = opened[i];
    if (device === undefined) {
      createSparseFile(path, options.createSize ?? 0);
      created.push(path);
      device = await withPatience(() =>
        options.openDevice(path, { lock: "exclusive" })
      );
      opened[i] = device;
    }
    candidates.push({
      device,
      size: layout.sizeOf(device.size),
      chunkCount: layout.chunkCountOf(device.size),
      hardcodedName: options.hardcode ? baseName(path) : "",
      isNew: created.includes(path),
    });
  }
  return candidates;
}

/** Opens and checks one file; undefined if it is to be made. */
function open(
  path: string,
  options: CandidateOptions,
  taken: Map<string, string>,
): ComponentDevice | undefined {
  if (options.hardcode) checkName(path, options.layout);
  const identity = identityOrNone(path, options.createSize);
  const other = taken.get(identity ?? `missing ${path}`);
  if (other !== undefined) {
    throw new VirstorError(
      "exists",
      `Cannot use "${path}": it is ` +
        (options.taken.has(identity ?? "")
          ? "in the pool already"
          : `given twice, also as "${other}"`),
    );
  }
  taken.set(identity ?? `missing ${path}`, path);
  if (identity === undefined) {
    checkSize(path, options.createSize ?? 0, options.layout);
    return undefined;
  }
  const device = options.openDevice(path, { lock: "exclusive" });
  try {
    checkSize(path, device.size, options.layout);
    // Tried again for a moment: it may be read in passing.
    if (!options.force && device.openElsewhere === "reading") {
      throw new FileInUseError(path, device.identity, "reading");
    }
  } catch (error) {
    device.close();
    throw error;
  }
  return device;
}

function identityOrNone(
  path: string,
  createSize: number | undefined,
): string | undefined {
  try {
    return fileIdentity(path);
  } catch (error) {
    if (!(error instanceof VirstorError) || error.code !== "not-found") {
      throw error;
    }
    if (createSize !== undefined) return undefined;
    // It makes files, not directories.
    if (missingDirectory(path) !== "") throw error;
    throw new VirstorError(
      "not-found",
      `${error.message}, --create SIZE makes it`,
      { cause: error },
    );
  }
}

function checkSize(
  path: string,
  size: number,
  layout: ComponentLayout,
): void {
  const count = layout.chunkCountOf(size);
  if (count >= layout.chunksMin) return;
  throw new VirstorError(
    "invalid",
    `Cannot use "${path}": ${counted(size, "byte has", "bytes have")} room ` +
      `for ${counted(count, "chunk")} of ${inBytes(layout.chunkSize)}, ` +
      `at least ${layout.chunksMin} ${isOrAre(layout.chunksMin)} needed ` +
      `(${inBytes(layout.sizeMin)})`,
  );
}

function checkName(path: string, layout: ComponentLayout): void {
  if (!layout.canHardcode) {
    throw new VirstorError(
      "invalid",
      `Cannot tie "${path}" to its name with -h: that is for --format ` +
        "freebsd, the native format knows its components by UUID",
    );
  }
  const name = baseName(path);
  if (/^[!-~]+$/.test(name) && name.length <= FREEBSD_NAME_LENGTH_MAX) return;
  throw new VirstorError(
    "invalid",
    `Cannot tie "${path}" to its name with -h: a label has room for ` +
      `${FREEBSD_NAME_LENGTH_MAX} ASCII characters`,
  );
}

/** Of which pool the label is, in words; or where it is, if not at the end. */
function labelOf(device: ComponentDevice): string | MovedLabel {
  try {
    return ` of pool "${readComponentLabel(device).name}"`;
  } catch (error) {
    return error instanceof MovedLabelError ? error.label : "";
  }
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}
