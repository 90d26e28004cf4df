/**
 * Candidates: files that are to become components. Every check runs before
 * anything is written, so that a refusal leaves all files as they were.
 *
 * @module
 */

import {
  createSparseFile,
  FileInUseError,
  missingDirectory,
  removeFile,
} from "../../device/file/mod.ts";
import {
  counted,
  inBytes,
  isOrAre,
  isUri,
  shownPath,
  VirstorError,
} from "../../errors.ts";
import { FREEBSD_NAME_LENGTH_MAX } from "../../metadata/freebsd/mod.ts";
import {
  type ComponentDevice,
  identityAt,
  type OpenDevice,
  type OpenPatience,
  withPatience,
} from "../core/mod.ts";
import { watchFile } from "../remote/mod.ts";
import { closeAll, forEachAtOnce } from "./at_once.ts";
import { hasLabel, readComponentLabel } from "./component_label.ts";
import type { ComponentLayout } from "./component_layout.ts";
import {
  findMovedLabelLater,
  type MovedLabel,
  MovedLabelError,
  movedText,
} from "./moved_label.ts";
import { refuseSignatures, refuseUsers } from "./occupied.ts";
import { openWithLabels, ownedDevice, refusedUri } from "./open_member.ts";

/** A file that passed all checks; open and locked exclusively. */
export interface Candidate {
  /** The open file. */
  readonly device: ComponentDevice;
  /** Bytes that the pool uses: whole sectors (format 1) or pages (format 2). */
  readonly size: number;
  /** How many chunks fit on the file. */
  readonly chunkCount: number;
  /** The only file name that its label will accept; "" for any. */
  readonly hardcodedName: string;
  /** Whether this operation created the file. */
  readonly isNew: boolean;
}

/** A component to be, before any file is created. */
export interface FutureComponent {
  /** Path of the existing file, or of the file to create. */
  readonly path: string;
  /** How many chunks fit on the file. */
  readonly chunkCount: number;
}

/** What candidates must satisfy, and how to open or create them. */
export interface CandidateOptions {
  /** How a component is divided. */
  readonly layout: ComponentLayout;
  /**
   * Accept files that carry a label or hold other data, and files that other
   * processes read.
   */
  readonly force: boolean;
  /** Bytes of files to create; undefined: a missing file is an error. */
  readonly createSize: number | undefined;
  /** Tie each component to its file name (format 1 only). */
  readonly hardcode: boolean;
  /** Files that the pool uses already: file identity to path. */
  readonly taken: ReadonlyMap<string, string>;
  /** Opens a file. */
  readonly openDevice: OpenDevice;
  /** How long to wait for other machines. Default: for ever. */
  readonly patience?: OpenPatience;
  /** Throws if the first component is unsuitable; runs before any creation. */
  readonly check?: (first: FutureComponent) => void;
}

/**
 * Checks files that are to become components, and creates the missing ones.
 * All existing files pass their checks before any file is created. Components
 * on other machines are opened, and then taken, at the same time.
 *
 * *Ensures*: when this throws, no device is left open and every file that was
 * created is removed again.
 *
 * @param paths The files, in the order of the components.
 * @param options What candidates must satisfy.
 * @returns The candidates, in the same order, open and locked exclusively.
 * @throws {VirstorError} `not-found`, `exists` if a file is given twice, has a
 *   label or holds data that may still be needed, `invalid`, `busy` if a file
 *   is in use, `io`.
 */
export async function openCandidates(
  paths: readonly string[],
  options: CandidateOptions,
): Promise<Candidate[]> {
  const opened = await withPatience(() => openAll(paths, options));
  const created: string[] = [];
  try {
    // The files are locked by now. Other programs that heed locks cannot change
    // the contents between this check and the first write.
    for (const device of opened) {
      if (device !== undefined) await inspect(device, options);
    }
    return await complete(paths, options, opened, created);
  } catch (error) {
    // While they are locked: later they may be components of another pool.
    for (const path of created) removeFile(path);
    await closeAll(opened);
    throw error;
  }
}

/** Opens and checks the existing files; undefined for files to create. */
async function openAll(
  paths: readonly string[],
  options: CandidateOptions,
): Promise<(ComponentDevice | undefined)[]> {
  const taken = new Map(options.taken);
  const opened: (ComponentDevice | undefined)[] = paths.map(() => undefined);
  try {
    await forEachAtOnce(paths, async (path, i) => {
      opened[i] = await open(path, options, taken);
    });
    return opened;
  } catch (error) {
    await closeAll(opened);
    throw error;
  }
}

/** Refuses a file that is in use or holds data that may still be needed. */
async function inspect(
  device: ComponentDevice,
  { force, patience }: CandidateOptions,
): Promise<void> {
  await refuseUsers(device, force);
  if (device.keep === undefined) await watchFile(device, patience?.cancelled);
  if (!force) await refuseContent(device);
}

/** Refuses a file that holds data that may still be needed. */
async function refuseContent(device: ComponentDevice): Promise<void> {
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

/** Creates the missing files, and describes all candidates. */
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
  const devices: ComponentDevice[] = [];
  await forEachAtOnce(paths, async (path, i) => {
    const there = opened[i];
    const device = there === undefined
      ? await create(path, options)
      : await ownedDevice(there, layout.chunkSize);
    if (there === undefined) created.push(path);
    opened[i] = device;
    devices[i] = device;
  });
  return devices.map((device, i) => ({
    device,
    size: layout.sizeOf(device.size),
    chunkCount: layout.chunkCountOf(device.size),
    hardcodedName: options.hardcode ? baseName(paths[i] ?? "") : "",
    isNew: created.includes(paths[i] ?? ""),
  }));
}

/**
 * Creates a file, and opens it. Before it is locked, another process may make it
 * a component: then it stays, and is refused, whatever `force` says.
 */
async function create(
  path: string,
  { createSize = 0, openDevice }: CandidateOptions,
): Promise<ComponentDevice> {
  createSparseFile(path, createSize);
  let device: ComponentDevice | undefined;
  try {
    const open = () => openDevice(path, { lock: "exclusive" });
    device = await withPatience(open);
    await refuseContent(device);
    return device;
  } catch (error) {
    if (!isOfOthers(error)) removeFile(path);
    await device?.close();
    throw error;
  }
}

/** Whether another process uses a file, or has written to it. */
function isOfOthers(error: unknown): boolean {
  return error instanceof VirstorError &&
    (error.code === "busy" || error.code === "exists");
}

/** Opens and checks one file; undefined if it has to be created. */
async function open(
  given: string,
  options: CandidateOptions,
  taken: Map<string, string>,
): Promise<ComponentDevice | undefined> {
  const path = shownPath(given);
  if (isUri(path) && options.layout.canHardcode) throw refusedUri(path);
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
  const device = await openWithLabels(
    given,
    { lock: "exclusive", patience: options.patience },
    options.openDevice,
  );
  try {
    checkSize(path, device.size, options.layout);
    // withPatience() retries for a moment: a scanner may read in passing.
    if (!options.force && device.openElsewhere === "reading") {
      throw new FileInUseError(path, device.identity, "reading");
    }
  } catch (error) {
    await device.close();
    throw error;
  }
  return device;
}

function identityOrNone(
  path: string,
  createSize: number | undefined,
): string | undefined {
  try {
    return identityAt(path);
  } catch (error) {
    if (!(error instanceof VirstorError) || error.code !== "not-found") {
      throw error;
    }
    if (createSize !== undefined) return undefined;
    // --create makes files, but not directories.
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
  if (count >= layout.chunksMin) {
    const fault = layout.faultOf?.(size) ?? "";
    if (fault === "") return;
    throw new VirstorError("no-space", `Cannot use "${path}": ${fault}`);
  }
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

/** The pool of a label, in words; a moved label if it is not at the end. */
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
