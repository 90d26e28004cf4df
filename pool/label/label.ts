/**
 * Making a pool: `label`.
 *
 * @module
 */

import { inBytes } from "../../errors.ts";
import { removeFile } from "../../device/file/mod.ts";
import { checkCount, openCandidates } from "../member/mod.ts";
import { type OpenDevice, openFileDevice } from "../core/mod.ts";
import { planFreebsdLabel } from "./label_freebsd.ts";
import { planNativeLabel } from "./label_native.ts";
import type { FormatName } from "../format/mod.ts";

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
  /**
   * Also take files that carry a label, a file system, or anything else that
   * `wipefs` knows, and those that other processes read. Never those that are
   * mounted, in use as swap, or open for writing elsewhere.
   */
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
 * @throws {VirstorError} `invalid`, `exists` if a file holds something,
 *   `not-found`, `busy` if one is in use, `io`.
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
  const candidates = await openCandidates(paths, {
    layout,
    force: options.force ?? false,
    createSize: options.createSize,
    hardcode: options.hardcode ?? false,
    taken: new Map(),
    openDevice: options.openDevice ?? openFileDevice,
    check: plan.check,
  });
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
      if (isNew) removeFile(device.path);
    }
    throw error;
  } finally {
    for (const { device } of candidates) await device.close();
  }
}
