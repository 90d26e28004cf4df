/**
 * Making a pool, and unmaking one: `label` and `clear`.
 *
 * @module
 */

import { fileIdentity } from "../device/mod.ts";
import { inBytes, VirstorError } from "../errors.ts";
import { openCandidates } from "./candidates.ts";
import type { ComponentDevice, OpenDevice } from "./component.ts";
import { openFileDevice } from "./component.ts";
import { readComponentLabel, wipeDeviceLabels } from "./component_label.ts";
import { planFreebsdLabel } from "./label_freebsd.ts";
import { planNativeLabel } from "./label_native.ts";
import { checkCount } from "./new_component.ts";
import { withPatience } from "./patience.ts";
import type { FormatName } from "./pool_format.ts";

/** 2 TiB, as `gvirstor label`. */
const DEFAULT_VIRTUAL_SIZE = 2 * 2 ** 40;

/** What a new pool is to be. */
export interface LabelOptions {
  /**
   * Native: 1 to 255 bytes of UTF-8 without control characters; FreeBSD's: 1 to
   * 15 letters, digits and `. _ - : + @`.
   */
  readonly name: string;
  /** Its components, in order. */
  readonly paths: readonly string[];
  /** Bytes of the virtual disk, fitted up to whole chunks or so; 2 TiB. */
  readonly virtualSize?: number;
  /**
   * Bytes of a chunk. Native: rounded up to a power of two, 64 KiB to 1 GiB;
   * 1 MiB. FreeBSD's: rounded up to whole 128 KiB; 4 MiB.
   */
  readonly chunkSize?: number;
  /** Tie each component to its file name; FreeBSD's format only. */
  readonly hardcode?: boolean;
  /** Also take files that carry a label already. */
  readonly force?: boolean;
  /** The on-disk format; native. */
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
  /** What tells it from others of its name: a UUID, or a number. */
  readonly id: string;
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
    /** Bytes that are used, whole sectors or pages. */
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
  const { name, paths, format = "native" } = options;
  const makePlan = format === "native" ? planNativeLabel : planFreebsdLabel;
  const plan = makePlan({
    name,
    virtualSize: options.virtualSize ?? DEFAULT_VIRTUAL_SIZE,
    chunkSize: options.chunkSize,
  });
  const { layout, virtualSize } = plan;
  checkCount(paths.length, layout);
  const candidates = await withPatience(() =>
    openCandidates(paths, {
      layout,
      force: options.force ?? false,
      createSize: options.createSize,
      hardcode: options.hardcode ?? false,
      taken: new Map(),
      openDevice: options.openDevice ?? openFileDevice,
      check: plan.check,
    })
  );
  try {
    const notices = [...plan.notices];
    const physical = candidates.reduce((sum, one) => sum + one.size, 0);
    if (virtualSize < physical) {
      notices.push(
        `The virtual size (${inBytes(virtualSize)}) is smaller than the ` +
          `components (${inBytes(physical)})`,
      );
    }
    const id = await plan.write(candidates);
    const components = candidates.map(({ device, size, chunkCount }, i) => ({
      path: device.path,
      size,
      chunkCount,
      chunkReserved: i === 0 ? plan.reserved : 0,
    }));
    const { chunkSize } = layout;
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
    for (const device of devices) await wipeDeviceLabels(device);
    return cleared;
  } finally {
    for (const device of devices) await device.close();
  }
}

function labelledName(device: ComponentDevice): string {
  try {
    return readComponentLabel(device).name;
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
