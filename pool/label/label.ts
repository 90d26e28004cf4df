/**
 * Labelling: makes a new pool of files.
 *
 * @module
 */

import { inBytes } from "../../errors.ts";
import { removeFile } from "../../device/file/mod.ts";
import {
  allocateAll,
  checkCount,
  closeAll,
  openCandidates,
  promiseNotices,
} from "../member/mod.ts";
import type { OpenDevice } from "../core/mod.ts";
import { openerOf, type RemoteComponents } from "../remote/mod.ts";
import { planFreebsdLabel } from "./label_freebsd.ts";
import { planNativeLabel } from "./label_native.ts";
import type { FormatName } from "../format/mod.ts";

/** The default virtual size, 2 TiB, as that of `gvirstor label`. */
const DEFAULT_VIRTUAL_SIZE = 2 * 2 ** 40;

/** What pool to make, and of which files. */
export interface LabelOptions {
  /**
   * The pool's name. Native format: 1 to 255 bytes of UTF-8 without control
   * characters. FreeBSD format: 1 to 15 letters, digits and `. _ - : + @`.
   */
  readonly name: string;
  /** Paths of its components, in order; of the native format URIs, too. */
  readonly paths: readonly string[];
  /** Bytes of the virtual disk, fitted to whole chunks; default 2 TiB. */
  readonly virtualSize?: number;
  /**
   * Bytes of a chunk. Native format: rounded up to a power of two, 64 KiB to
   * 1 GiB; default 256 KiB. FreeBSD format: rounded up to a multiple of 128 KiB;
   * default 4 MiB.
   */
  readonly chunkSize?: number;
  /** Tie each component to its file name (FreeBSD format only). */
  readonly hardcode?: boolean;
  /**
   * Accept files that carry a label, a file system, or any other signature that
   * `wipefs` knows, and files that other processes read. Files that are
   * mounted, used as swap, or open for writing elsewhere are refused anyway.
   */
  readonly force?: boolean;
  /** The on-disk format; default native. */
  readonly format?: FormatName;
  /** Create missing files, sparse, with this size in bytes. */
  readonly createSize?: number;
  /** Allocate the space of all files now; default false: they are sparse. */
  readonly preallocate?: boolean;
  /** How to reach components that are given as URIs; refused by default. */
  readonly remote?: RemoteComponents | undefined;
  /**
   * Opens a component; a file, block device or URI by default.
   *
   * @internal
   */
  readonly openDevice?: OpenDevice;
}

/** The properties of the new pool. */
export interface LabelResult {
  /** The pool's name. */
  readonly name: string;
  /** The id that distinguishes pools of the same name: a UUID, or a number. */
  readonly id: string;
  /** The pool's on-disk format. */
  readonly format: FormatName;
  /** Bytes of the virtual disk. */
  readonly virtualSize: number;
  /** Bytes of a chunk. */
  readonly chunkSize: number;
  /** The components, in order. */
  readonly components: readonly {
    /** The component's path. */
    readonly path: string;
    /** Bytes that the pool uses of it: whole sectors or pages. */
    readonly size: number;
    /** Chunks on it. */
    readonly chunkCount: number;
    /** Chunks at its start that hold the map (format 1, component 0). */
    readonly chunkReserved: number;
  }[];
  /** Sizes that were fitted, and other notices, one sentence each. */
  readonly notices: readonly string[];
}

/**
 * Makes a pool. All checks run before anything is written.
 *
 * *Ensures*: on return, the labels are durable. If this throws, the files that
 * it created are removed.
 *
 * @param options What pool to make, and of which files.
 * @returns The properties of the new pool.
 * @throws {VirstorError} `invalid`, `exists` if a file holds data that may
 *   still be needed, `not-found`, `busy` if a file is in use, `io`.
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
    openDevice: options.openDevice ?? openerOf(options.remote),
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
    if (options.preallocate === true) await allocateAll(candidates);
    notices.push(...await promiseNotices(candidates));
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
    await closeAll(candidates.map(({ device }) => device));
  }
}
