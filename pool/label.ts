/**
 * Making a pool, and unmaking one: `label` and `clear`.
 *
 * @module
 */

import { fileIdentity } from "../device/mod.ts";
import { VirstorError } from "../errors.ts";
import type { FreebsdLabel } from "../metadata/mod.ts";
import {
  COMPONENT_ALLOCATED,
  COMPONENT_CURRENT,
  FREEBSD_COMPONENTS_MAX,
  FREEBSD_MAP_GRAIN,
  FREEBSD_NAME_LENGTH_MAX,
  freebsdMapSize,
  freebsdReservedChunks,
} from "../metadata/mod.ts";
import type { Candidate, FutureComponent } from "./candidates.ts";
import { openCandidates } from "./candidates.ts";
import type { ComponentDevice, OpenDevice } from "./component.ts";
import { openFileDevice } from "./component.ts";
import {
  readDeviceLabel,
  wipeDeviceLabel,
  writeDeviceLabel,
} from "./component_label.ts";
import { withPatience } from "./patience.ts";
import type { FormatName } from "./pool_format.ts";

const DEFAULT_VIRTUAL_SIZE = 2 * 2 ** 40;
const DEFAULT_CHUNK_SIZE = 4 * 2 ** 20;
/** Chunk sizes are multiples of this, as FreeBSD's MAXPHYS was: 128 KiB. */
const CHUNK_GRAIN = 128 * 1024;
/** The chunk size is a u32. */
const CHUNK_SIZE_MAX = 2 ** 32 - CHUNK_GRAIN;
/** 8 PiB: up to here every byte has an exact number in JavaScript. */
const VIRTUAL_SIZE_MAX = 2 ** 53;
/** The number of reserved chunks is a u16. */
const RESERVED_MAX = 65_535;

/** What a new pool is to be. */
export interface LabelOptions {
  /** 1 to 15 letters, digits and `. _ - : + @`. */
  readonly name: string;
  /** Its components, in order. */
  readonly paths: readonly string[];
  /** Bytes of the virtual disk, fitted up to whole map sectors; 2 TiB. */
  readonly virtualSize?: number;
  /** Bytes of a chunk, rounded up to whole 128 KiB; 4 MiB. */
  readonly chunkSize?: number;
  /** Tie each component to its file name. */
  readonly hardcode?: boolean;
  /** Also take files that carry a label already. */
  readonly force?: boolean;
  /** The on-disk format. */
  readonly format?: FormatName;
  /** Make missing files, sparse, of this many bytes. */
  readonly createSize?: number;
  /** How components are opened. */
  readonly openDevice?: OpenDevice;
}

/** What a new pool became. */
export interface LabelResult {
  /** Its name. */
  readonly name: string;
  /** Its random number. */
  readonly id: number;
  /** Its format. */
  readonly format: FormatName;
  /** Bytes of the virtual disk. */
  readonly virtualSize: number;
  /** Bytes of a chunk. */
  readonly chunkSize: number;
  /** Its components, in order. */
  readonly components: readonly {
    /** Where it is. */
    readonly path: string;
    /** Bytes, whole sectors. */
    readonly size: number;
    /** Chunks on it. */
    readonly chunkCount: number;
    /** Chunks at its start that hold the map. */
    readonly chunkReserved: number;
  }[];
  /** What was fitted or is worth knowing, a sentence each. */
  readonly notices: readonly string[];
}

/**
 * Makes a pool. Everything is checked before anything is written.
 *
 * @param options What it is to be.
 * @returns What it became.
 * @throws {VirstorError} `invalid`, `exists`, `not-found`, `busy`, `io`.
 */
export async function labelPool(options: LabelOptions): Promise<LabelResult> {
  const notices: string[] = [];
  checkPoolName(options.name);
  checkCount(options.paths.length);
  const chunkSize = fitChunkSize(
    options.chunkSize ?? DEFAULT_CHUNK_SIZE,
    notices,
  );
  const virtualSize = fitVirtualSize(
    options.virtualSize ?? DEFAULT_VIRTUAL_SIZE,
    chunkSize,
    notices,
  );
  const reserved = freebsdReservedChunks(virtualSize, chunkSize);
  const candidates = await withPatience(() =>
    openCandidates(options.paths, {
      chunkSize,
      force: options.force ?? false,
      createSize: options.createSize,
      hardcode: options.hardcode ?? false,
      taken: new Map(),
      openDevice: options.openDevice ?? openFileDevice,
      check: (first) => checkMapFits(first, virtualSize, chunkSize, reserved),
    })
  );
  try {
    const physical = candidates.reduce((sum, one) => sum + one.size, 0);
    if (virtualSize < physical) {
      notices.push(
        `The virtual size (${virtualSize} bytes) is smaller than the ` +
          `components (${physical} bytes)`,
      );
    }
    const [id = 0] = crypto.getRandomValues(new Uint32Array(1));
    const labels = candidates.map((one, index): FreebsdLabel => ({
      name: options.name,
      id,
      virtualSize,
      chunkSize,
      count: candidates.length,
      index,
      hardcodedName: one.hardcodedName,
      componentSize: one.size,
      chunkCount: one.chunkCount,
      chunkNext: index === 0 ? reserved : 0,
      chunkReserved: index === 0 ? reserved : 0,
      flags: index === 0 ? COMPONENT_ALLOCATED | COMPONENT_CURRENT : 0,
    }));
    const mapSize = freebsdMapSize(virtualSize, chunkSize);
    await write(candidates, labels, mapSize);
    const components = candidates.map(({ device, size, chunkCount }, i) => ({
      path: device.path,
      size,
      chunkCount,
      chunkReserved: labels[i]?.chunkReserved ?? 0,
    }));
    const { name } = options;
    const format = "freebsd";
    return { name, id, format, virtualSize, chunkSize, components, notices };
  } catch (error) {
    for (const { device, isNew } of candidates) {
      if (isNew) await Deno.remove(device.path);
    }
    throw error;
  } finally {
    for (const { device } of candidates) await device.close();
  }
}

/**
 * Takes the labels off components. Their data stay, but nothing leads to them.
 *
 * @param paths Components; each carries a label.
 * @param openDevice How they are opened.
 * @returns Which pool each belonged to; "" if its label made no sense.
 * @throws {VirstorError} `not-found` if one carries no label, `busy` if its
 *   pool is in use, `io`. Nothing is written before all were checked.
 */
export async function clearLabels(
  paths: readonly string[],
  openDevice: OpenDevice = openFileDevice,
): Promise<{ path: string; name: string }[]> {
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
      cleared.push({ path, name: labelledName(device) });
    }
    for (const device of devices) await wipeDeviceLabel(device);
    return cleared;
  } finally {
    for (const device of devices) await device.close();
  }
}

/**
 * Refuses more components than a label can count.
 *
 * @param count How many components the pool would have.
 * @throws {VirstorError} `invalid`.
 */
export function checkCount(count: number): void {
  if (count < 1) {
    throw new VirstorError("invalid", "Cannot make a pool of no components");
  }
  if (count > FREEBSD_COMPONENTS_MAX) {
    throw new VirstorError(
      "invalid",
      `Cannot make a pool of ${count} components: ` +
        `${FREEBSD_COMPONENTS_MAX} is the most`,
    );
  }
}

/**
 * Makes new components read as zeroes, as far as that costs nothing, and
 * takes away old labels, durably.
 *
 * @param device The component.
 * @param size Its bytes up to the end of the label.
 * @param mapSize Bytes at its start that must be zeroes at any cost.
 * @returns Whether all of it reads as zeroes.
 */
export async function prepareNewComponent(
  device: ComponentDevice,
  size: number,
  mapSize: number,
): Promise<boolean> {
  const punches = device.capabilities.discard;
  if (punches) await device.writeZeroes(0, size);
  else if (mapSize > 0) await device.writeZeroes(0, mapSize);
  await wipeDeviceLabel(device);
  return punches;
}

async function write(
  candidates: readonly Candidate[],
  labels: readonly FreebsdLabel[],
  mapSize: number,
): Promise<void> {
  for (const [i, { device, size }] of candidates.entries()) {
    await prepareNewComponent(device, size, i === 0 ? mapSize : 0);
  }
  // The label of component 0 decides, so it comes last.
  for (let i = candidates.length - 1; i >= 0; i--) {
    const device = candidates[i]?.device;
    const label = labels[i];
    if (device === undefined || label === undefined) continue;
    writeDeviceLabel(device, label);
    await device.flush();
  }
}

function checkPoolName(name: string): void {
  if (/^[\w.:+@-]+$/.test(name) && name.length <= FREEBSD_NAME_LENGTH_MAX) {
    if (name !== "." && name !== "..") return;
  }
  throw new VirstorError(
    "invalid",
    `Cannot name a pool "${name}": a name has 1 to ` +
      `${FREEBSD_NAME_LENGTH_MAX} letters, digits and . _ - : + @`,
  );
}

function fitChunkSize(size: number, notices: string[]): number {
  const fitted = Math.ceil(size / CHUNK_GRAIN) * CHUNK_GRAIN;
  if (!(size > 0) || !(fitted <= CHUNK_SIZE_MAX)) {
    throw new VirstorError(
      "invalid",
      `Cannot use a chunk size of ${size} bytes: it is 1 to ` +
        `${CHUNK_SIZE_MAX} bytes`,
    );
  }
  if (fitted !== size) {
    notices.push(
      `The chunk size is rounded up to a multiple of 128 KiB: ${fitted} bytes`,
    );
  }
  return fitted;
}

function fitVirtualSize(
  size: number,
  chunkSize: number,
  notices: string[],
): number {
  // As gvirstor: down to whole chunks, then up to a whole sector of the map.
  const chunks = Math.floor(size / chunkSize);
  const fittedChunks = Math.ceil(chunks / FREEBSD_MAP_GRAIN) *
    FREEBSD_MAP_GRAIN;
  const fitted = fittedChunks * chunkSize;
  if (size > VIRTUAL_SIZE_MAX || fitted > VIRTUAL_SIZE_MAX) {
    throw new VirstorError(
      "invalid",
      `Cannot make a virtual disk of ${size} bytes: ${VIRTUAL_SIZE_MAX} ` +
        "bytes (8 PiB) is the most, rounded up to 64 chunks",
    );
  }
  if (!(chunks >= 1)) {
    throw new VirstorError(
      "invalid",
      `Cannot make a virtual disk of ${size} bytes: one chunk ` +
        `(${chunkSize} bytes) is the least`,
    );
  }
  if (fitted !== size) {
    notices.push(
      `The virtual size is fitted to whole chunks and whole map sectors: ` +
        `${fitted} bytes`,
    );
  }
  return fitted;
}

function checkMapFits(
  first: FutureComponent,
  virtualSize: number,
  chunkSize: number,
  reserved: number,
): void {
  if (reserved <= first.chunkCount && reserved <= RESERVED_MAX) return;
  throw new VirstorError(
    "invalid",
    `Cannot put the map of a ${virtualSize}-byte disk on ` +
      `"${first.path}": it takes ${reserved} chunks of ${chunkSize} ` +
      `bytes, there is room for ${Math.min(first.chunkCount, RESERVED_MAX)}; ` +
      "use larger chunks, a smaller disk, or a larger first component",
  );
}

function labelledName(device: ComponentDevice): string {
  try {
    return readDeviceLabel(device).name;
  } catch (error) {
    if (error instanceof VirstorError && error.code === "not-found") {
      throw new VirstorError(
        "not-found",
        `Cannot clear "${device.path}": it carries no label`,
        { cause: error },
      );
    }
    return "";
  }
}
