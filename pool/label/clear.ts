/**
 * Taking labels off components: `clear`.
 *
 * @module
 */

import { fileIdentity } from "../../device/file/mod.ts";
import { inBytes, messageOf, VirstorError } from "../../errors.ts";
import type { FreebsdLabel } from "../../metadata/freebsd/mod.ts";
import {
  type ComponentDevice,
  type OpenDevice,
  openFileDevice,
  turn,
  withPatience,
} from "../core/mod.ts";
import {
  type ComponentLabel,
  MovedLabelError,
  readComponentLabel,
  refuseWriters,
  wipeDeviceLabels,
} from "../member/mod.ts";
import { scanTable, tableOf } from "../format/native/mod.ts";

/** Bytes that are read at a time, and at most, to see whether all are zero. */
const [PIECE_BYTES, ZEROES_READ_MAX] = [1 << 20, 64 << 20];

/** How labels are cleared. */
export interface ClearOptions {
  /** Also of components that hold data, or may do so. */
  readonly force?: boolean;
  /** How components are opened. */
  readonly openDevice?: OpenDevice;
}

/** What a component holds, in words; "" if it is known to hold nothing. */
type Holding = string;

/**
 * Takes the labels off components. Their data stay, but nothing leads to them.
 *
 * @param paths Components; each carries a label.
 * @param options How.
 * @returns Which pool each belonged to; "" if its label made no sense.
 * @throws {VirstorError} `not-found` if one carries no label, `exists` if one
 *   holds data and `force` is not set, `busy` if its pool is in use, `io`.
 *   Nothing is written before all were checked.
 */
export async function clearLabels(
  paths: readonly string[],
  options: ClearOptions = {},
): Promise<{ path: string; name: string }[]> {
  const { force = false, openDevice = openFileDevice } = options;
  const devices: ComponentDevice[] = [];
  const cleared: { path: string; name: string }[] = [];
  try {
    const identities = new Set<string>();
    for (const path of paths) {
      const identity = fileIdentity(path);
      if (identities.has(identity)) continue;
      identities.add(identity);
      const device = await withPatience(() =>
        openDevice(path, { lock: "exclusive" })
      );
      devices.push(device);
      await refuseWriters(device);
      cleared.push({ path, name: await inspect(device, force) });
    }
    for (const device of devices) await wipeDeviceLabels(device);
    return cleared;
  } finally {
    for (const device of devices) await device.close();
  }
}

/** The name of the pool that a component is of; "" if that is unknown. */
async function inspect(
  device: ComponentDevice,
  force: boolean,
): Promise<string> {
  const label = labelOf(device);
  if (!force) {
    const holding = label instanceof VirstorError
      ? `its label cannot be read (${messageOf(label)}), so what it holds is ` +
        "not known"
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
  const { name, chunkSize, componentUuid } = label;
  let [owned, isDamaged] = [0, false];
  await scanTable(tableOf(device, componentUuid, chunkSize), {
    page() {},
    owned: () => owned++,
    unsound: (_, { severity }) => isDamaged ||= severity === "damage",
  });
  if (owned > 0) return holds(owned * chunkSize, name);
  return isDamaged
    ? `it is of pool "${name}", and its chunk table is damaged, so what it ` +
      "holds is not known"
    : "";
}

/**
 * In format 1 the label tells what was in use at the last clean stop. What was
 * written since then shows in the chunks: those that were never used are holes,
 * or zeroes.
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

/** Whether there are zeroes only; false also if that takes long to find out. */
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
