/**
 * Clearing: erases the labels of components.
 *
 * @module
 */

import { inBytes, messageOf, shownPath, VirstorError } from "../../errors.ts";
import type { FreebsdLabel } from "../../metadata/freebsd/mod.ts";
import {
  type ComponentDevice,
  identityAt,
  type OpenDevice,
  turn,
  withPatience,
} from "../core/mod.ts";
import { openerOf, type RemoteComponents, watchFile } from "../remote/mod.ts";
import {
  claimed,
  closeAll,
  type ComponentLabel,
  forEachAtOnce,
  keepTable,
  MovedLabelError,
  openWithLabels,
  readComponentLabel,
  refuseWriters,
  wipeDeviceLabels,
} from "../member/mod.ts";
import { scanTable, tableOf } from "../format/native/mod.ts";

/** Bytes of one read, and of all reads, of a search for data. */
const [PIECE_BYTES, ZEROES_READ_MAX] = [1 << 20, 64 << 20];

/** How to clear labels. */
export interface ClearOptions {
  /** Also clear components that hold data, or may hold data. */
  readonly force?: boolean;
  /** How to reach components that are given as URIs; refused by default. */
  readonly remote?: RemoteComponents | undefined;
  /**
   * Opens a component; a file, block device or URI by default.
   *
   * @internal
   */
  readonly openDevice?: OpenDevice;
}

/** What a component holds, in words; "" if it certainly holds no data. */
type Holding = string;

/**
 * Erases the labels of components. Their data stay, but nothing maps them.
 *
 * *Ensures*: all components pass their checks before anything is written.
 *
 * @param paths Paths of components; each carries a label.
 * @param options How to clear them.
 * @returns The pool that each component belonged to; "" if its label was
 *   unreadable.
 * @throws {VirstorError} `not-found` if a file carries no label, `exists` if a
 *   component holds data and `force` is not set, `busy` if its pool is in use,
 *   `io`.
 */
export async function clearLabels(
  paths: readonly string[],
  options: ClearOptions = {},
): Promise<{ path: string; name: string }[]> {
  const { force = false, openDevice = openerOf(options.remote) } = options;
  const given = distinct(paths);
  const devices: (ComponentDevice | undefined)[] = given.map(() => undefined);
  const cleared: { path: string; name: string }[] = [];
  try {
    await forEachAtOnce(given, async (path, i) => {
      const device = await withPatience(() =>
        openWithLabels(path, { lock: "exclusive" }, openDevice)
      );
      devices[i] = device;
      await refuseWriters(device);
      if (device.keep === undefined) await watchFile(device);
      const name = await inspect(device, force);
      cleared[i] = { path: shownPath(path), name };
    });
    await forEachAtOnce(given, async (_, i) => {
      devices[i] = devices[i] && await claimed(devices[i]);
    });
    for (const device of devices) {
      if (device === undefined) continue;
      await wipeDeviceLabels(device);
      device.leave?.();
    }
    return cleared;
  } finally {
    await closeAll(devices);
  }
}

/** Paths without those that lead to the same file. */
function distinct(paths: readonly string[]): string[] {
  const found = new Map<string, string>();
  for (const path of paths) {
    const identity = identityAt(shownPath(path));
    if (!found.has(identity)) found.set(identity, path);
  }
  return [...found.values()];
}

/** Checks a component; returns the name of its pool, or "" if unknown. */
async function inspect(
  device: ComponentDevice,
  force: boolean,
): Promise<string> {
  const label = labelOf(device);
  if (!force) {
    const holding = label instanceof VirstorError
      ? `its label cannot be read (${messageOf(label)}), so it may hold data`
      : await holdingOf(device, label);
    if (holding !== "") {
      throw new VirstorError(
        "exists",
        `Cannot clear "${device.path}": ${holding}, -f clears it`,
      );
    }
  }
  return label instanceof VirstorError ? "" : label.name;
}

function labelOf(device: ComponentDevice): ComponentLabel | VirstorError {
  try {
    return readComponentLabel(device);
  } catch (error) {
    if (!(error instanceof VirstorError)) throw error;
    if (error instanceof MovedLabelError) throw error;
    if (error.code !== "not-found") return error;
    throw new VirstorError(
      "not-found",
      `Cannot clear "${device.path}": it carries no label`,
      { cause: error },
    );
  }
}

async function holdingOf(
  device: ComponentDevice,
  label: ComponentLabel,
): Promise<Holding> {
  if (label.format === "freebsd") return await freebsdHolding(device, label);
  const { name, chunkSize } = label;
  await keepTable(device, label);
  let [owned, isDamaged] = [0, false];
  await scanTable(tableOf(device, label), {
    page() {},
    owned: () => owned++,
    unsound: (_, { severity }) => isDamaged ||= severity === "damage",
  });
  if (owned > 0) return holds(owned * chunkSize, name);
  return isDamaged
    ? `it is of pool "${name}", and its chunk table is damaged, so it may ` +
      "hold data"
    : "";
}

/**
 * In format 1, the label lists the chunks that were allocated at the last clean
 * stop. Chunks allocated since then hold data; chunks never used are holes or
 * zeroes.
 */
async function freebsdHolding(
  device: ComponentDevice,
  label: FreebsdLabel,
): Promise<Holding> {
  const { name, chunkSize, chunkCount, chunkNext, chunkReserved } = label;
  const used = chunkNext - chunkReserved;
  if (used > 0) return holds(used * chunkSize, name);
  const range = [chunkReserved * chunkSize, chunkCount * chunkSize] as const;
  return await readsAsZeroes(device, ...range)
    ? ""
    : `it may hold data of pool "${name}"`;
}

/** Whether a range holds only zeroes; false also if it is too long to read. */
async function readsAsZeroes(
  device: ComponentDevice,
  start: number,
  end: number,
): Promise<boolean> {
  const piece = new Uint8Array(PIECE_BYTES);
  let at = start;
  for (let left = ZEROES_READ_MAX; left > 0; left -= PIECE_BYTES) {
    at = Math.max(at, device.nextData?.(at) ?? at);
    if (at >= end) return true;
    const bytes = piece.subarray(0, Math.min(piece.length, end - at));
    await device.read(bytes, at);
    if (bytes.some((byte) => byte !== 0)) return false;
    at += bytes.length;
    await turn();
  }
  return false;
}

function holds(bytes: number, name: string): Holding {
  return `it holds ${inBytes(bytes)} of data of pool "${name}"`;
}
