/**
 * The two ends of `virstor copy`: files, devices, exports and streams.
 *
 * @module
 */

import type { BlockDevice } from "../../device/block/mod.ts";
import {
  createSparseFile,
  FileDevice,
  removeFile,
} from "../../device/file/mod.ts";
import { VirstorError } from "../../errors.ts";
import { isNbdUri, NbdDisk } from "../../nbd/client/mod.ts";

/** A disk to copy from or to. */
export interface CopyEnd extends AsyncDisposable {
  /** The disk. */
  readonly device: BlockDevice;
  /** Whether the disk reads as zeroes as a whole. */
  readonly isZero: boolean;
  /** Removes what was made for a copy that has failed. */
  undo(): void;
}

/** Options of remote ends. */
export interface EndOptions {
  /** Connections to a server at once. */
  readonly connections: number | undefined;
  /** Milliseconds to wait for a server that is away. */
  readonly stallTimeoutMs: number;
  /** Whether files that hold data may be overwritten. */
  readonly force: boolean;
}

/**
 * Opens the source of a copy.
 *
 * @param name A path or a URI.
 * @param options Options of the end.
 * @returns The source.
 * @throws {VirstorError} If it cannot be opened.
 */
export async function openSource(
  name: string,
  options: EndOptions,
): Promise<CopyEnd> {
  if (isNbdUri(name)) return await openRemote(name, options, true);
  return endOf(new FileDevice(name, { readOnly: true, lock: "shared" }));
}

/**
 * Opens the target of a copy; makes the file if there is none.
 *
 * @param name A path or a URI.
 * @param size Bytes of the source.
 * @param options Options of the end.
 * @returns The target.
 * @throws {VirstorError} `exists` for a file that holds data, unless forced;
 *   what opening throws.
 */
export async function openTarget(
  name: string,
  size: number,
  options: EndOptions,
): Promise<CopyEnd> {
  if (isNbdUri(name)) return await openRemote(name, options, false);
  const found = findFile(name);
  if (found === undefined) {
    createSparseFile(name, size);
    const device = new FileDevice(name, { lock: "exclusive" });
    return endOf(device, true, () => removeFile(name));
  }
  if ((found.size > 0 || !found.isFile) && !options.force) {
    throw new VirstorError(
      "exists",
      `Cannot copy to "${name}": it may hold data, -f overwrites it`,
    );
  }
  // Refuses a file that another process has locked, before it is touched.
  const before = new FileDevice(name, { lock: "exclusive" });
  if (!found.isFile) return endOf(before);
  await before.close();
  Deno.truncateSync(name, 0);
  Deno.truncateSync(name, size);
  return endOf(new FileDevice(name, { lock: "exclusive" }), true);
}

/**
 * Checks that a file may be written anew, and makes it empty.
 *
 * @param name The path.
 * @param force Whether it may hold data.
 * @returns The file.
 * @throws {VirstorError} `exists` if it holds data, unless forced.
 */
export function openStreamFile(name: string, force: boolean): Deno.FsFile {
  const found = findFile(name);
  if (found !== undefined && found.size > 0 && !force) {
    throw new VirstorError(
      "exists",
      `Cannot copy to "${name}": it may hold data, -f overwrites it`,
    );
  }
  if (found?.isFile === false) {
    throw new VirstorError(
      "unsupported",
      `Cannot copy standard input to "${name}": it is no file; copy a file, ` +
        "whose size is known",
    );
  }
  return Deno.openSync(name, { create: true, truncate: true, write: true });
}

function findFile(name: string): Deno.FileInfo | undefined {
  try {
    return Deno.statSync(name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

async function openRemote(
  uri: string,
  { connections, stallTimeoutMs }: EndOptions,
  readOnly: boolean,
): Promise<CopyEnd> {
  return endOf(
    await NbdDisk.connect(uri, {
      readOnly,
      stallTimeoutMs,
      ...connections !== undefined && { connections },
    }),
  );
}

function endOf(
  device: BlockDevice,
  isZero = false,
  undo: () => void = () => {},
): CopyEnd {
  return {
    device,
    isZero,
    undo,
    [Symbol.asyncDispose]: async () => await device.close(),
  };
}
