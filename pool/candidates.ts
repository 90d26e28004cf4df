/**
 * Files that are to become components: everything that can be wrong with them
 * is found out before anything is written.
 *
 * @module
 */

import {
  createSparseFile,
  fileIdentity,
  missingDirectory,
} from "../device/mod.ts";
import { counted, inBytes, isOrAre, VirstorError } from "../errors.ts";
import { FREEBSD_NAME_LENGTH_MAX } from "../metadata/mod.ts";
import type { ComponentDevice, OpenDevice } from "./component.ts";
import { hasLabel, readComponentLabel } from "./component_label.ts";
import type { ComponentLayout } from "./component_layout.ts";

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
  /** Also take files that carry a label. */
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
 * @throws {VirstorError} `not-found`, `exists` if one carries a label or is
 *   given twice, `invalid`, `busy`, `io`. Nothing is open or new then.
 */
export function openCandidates(
  paths: readonly string[],
  options: CandidateOptions,
): Candidate[] {
  const { layout } = options;
  const taken = new Map(options.taken);
  const opened: (ComponentDevice | undefined)[] = [];
  const created: string[] = [];
  try {
    for (const path of paths) opened.push(open(path, options, taken));
    const [path] = paths;
    if (path !== undefined) {
      const size = opened[0]?.size ?? options.createSize ?? 0;
      options.check?.({ path, chunkCount: layout.chunkCountOf(size) });
    }
    const candidates: Candidate[] = [];
    for (const [i, path] of paths.entries()) {
      let device = opened[i];
      if (device === undefined) {
        createSparseFile(path, options.createSize ?? 0);
        created.push(path);
        device = options.openDevice(path, { lock: "exclusive" });
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
  } catch (error) {
    for (const device of opened) device?.close();
    for (const path of created) Deno.removeSync(path);
    throw error;
  }
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
    if (!options.force && hasLabel(device)) {
      throw new VirstorError(
        "exists",
        `Cannot use "${path}": it carries a label${
          poolOf(device)
        } already, -f overwrites it`,
      );
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

function poolOf(device: ComponentDevice): string {
  try {
    return ` of pool "${readComponentLabel(device).name}"`;
  } catch {
    return "";
  }
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}
