/**
 * The two ends of `virstor copy`: files, devices, exports, volumes of pools and
 * streams.
 *
 * @module
 */

import type { BlockDevice } from "../../device/block/mod.ts";
import {
  createSparseFile,
  FileDevice,
  removeFile,
  setFileSize,
} from "../../device/file/mod.ts";
import { inBytes, nameOf, VirstorError } from "../../errors.ts";
import {
  canCarry,
  changedSince,
  isNbdUri,
  NbdDisk,
  parseNbdUri,
} from "../../nbd/client/mod.ts";
import { UsageError } from "../terminal/mod.ts";
import {
  type Changes,
  type CopyPools,
  findPoolWord,
  type PoolEnd,
  type PoolWord,
} from "./copy_pools.ts";

/** Milliseconds for the connection that asks what has changed. */
const ASK_MS = 10_000;

/** A disk to copy from or to. */
export interface CopyEnd extends AsyncDisposable {
  /** The disk. */
  readonly device: BlockDevice;
  /** Whether the disk reads as zeroes as a whole. */
  readonly isZero: boolean;
  /**
   * Removes what was made for a copy that has failed.
   *
   * @returns Whether there was anything.
   */
  undo(): boolean;
  /**
   * Finds what has changed since a snapshot.
   *
   * @param snapshot The name of the snapshot.
   * @returns The changes.
   * @throws {UsageError} If the disk is neither an export nor of a pool.
   */
  changedSince(snapshot: string): Promise<Changes>;
}

/** Options of the ends. */
export interface EndOptions {
  /** Connections to a server at once. */
  readonly connections: number | undefined;
  /** Milliseconds to wait for a server that is away. */
  readonly stallTimeoutMs: number;
  /** Whether files and volumes that hold data may be overwritten. */
  readonly force: boolean;
  /** Whether the other end is a file or a device. */
  readonly isWithFile: boolean;
}

/** What the target has to take. */
export interface Wanted {
  /** Bytes of the source. */
  readonly size: number;
  /**
   * What has changed, if the target holds an older state of the source;
   * `undefined` for a copy of everything.
   */
  readonly changes: Changes | undefined;
}

/** What the words of the command line stand for. */
export interface EndNames {
  /** A path or a URI. */
  readonly name: string;
  /** The volume or the snapshot, if it is one of a known pool. */
  readonly word: PoolWord | undefined;
}

/**
 * Finds out what a word of the command line stands for.
 *
 * @param stateDirectory The state directory.
 * @param name A path, a URI, or a volume or snapshot of a pool.
 * @returns What it stands for.
 * @throws {UsageError} If it may be a file and a volume.
 */
export async function endName(
  stateDirectory: string,
  name: string,
): Promise<EndNames> {
  const word = isNbdUri(name)
    ? undefined
    : await findPoolWord(stateDirectory, name);
  return { name, word };
}

/**
 * Opens the source of a copy.
 *
 * @param end What is copied.
 * @param pools The pools.
 * @param options Options of the end.
 * @returns The source.
 * @throws {VirstorError} If it cannot be opened.
 */
export async function openSource(
  { name, word }: EndNames,
  pools: CopyPools,
  options: EndOptions,
): Promise<CopyEnd> {
  if (word !== undefined) {
    return await poolEnd(await pools.end(word), options, true);
  }
  if (isNbdUri(name)) return await openRemote(name, options, true);
  return endOf(new FileDevice(name, { readOnly: true, lock: "shared" }));
}

/**
 * Opens the target of a copy; makes the file if there is none.
 *
 * @param end What is copied to.
 * @param wanted What the target has to take.
 * @param pools The pools.
 * @param options Options of the end.
 * @returns The target.
 * @throws {VirstorError} `exists` for a file or a volume that holds data, unless
 *   forced; `not-found` without the disk that is to be updated; what opening
 *   throws.
 */
export async function openTarget(
  { name, word }: EndNames,
  { size, changes }: Wanted,
  pools: CopyPools,
  options: EndOptions,
): Promise<CopyEnd> {
  if (word !== undefined) {
    const force = options.force || changes !== undefined;
    return await openVolume(word, pools, { ...options, force });
  }
  if (isNbdUri(name)) return await openRemote(name, options, false);
  const found = findFile(name);
  if (changes !== undefined) {
    return await openToUpdate(name, size, found, changes);
  }
  if (found === undefined) {
    createSparseFile(name, size);
    const device = new FileDevice(name, { lock: "exclusive" });
    return endOf(device, { isZero: true, undo: () => removed(name) });
  }
  if ((found.size > 0 || !found.isFile) && !options.force) {
    throw mayHoldData(name);
  }
  // Refuses a file that another process has locked, before it is touched.
  const before = new FileDevice(name, { lock: "exclusive" });
  // What it holds is written over: to free its space first would cost more.
  if (!found.isFile || found.size === size) return endOf(before);
  return endOf(await withSize(before, size), { isZero: found.size === 0 });
}

/**
 * Gives a locked file another size, and opens it again: a device keeps the size
 * that it was opened with.
 *
 * The lock covers the change: in a moment without it, a server might open the
 * file as a component, and lose it.
 */
async function withSize(
  locked: FileDevice,
  size: number,
): Promise<FileDevice> {
  try {
    setFileSize(locked.path, size);
  } finally {
    await locked.close();
  }
  return new FileDevice(locked.path, { lock: "exclusive" });
}

function removed(name: string): boolean {
  removeFile(name);
  return true;
}

/** A file to write to in order. */
export interface StreamFile extends Disposable {
  /** The file, empty. */
  readonly file: Deno.FsFile;
  /**
   * Removes the file, if it was made for this copy.
   *
   * @returns Whether it was.
   */
  undo(): boolean;
}

/**
 * Checks that a file may be written anew, and makes it empty.
 *
 * @param name The path.
 * @param force Whether it may hold data.
 * @returns The file.
 * @throws {VirstorError} `exists` if it holds data, unless forced; `busy` if it
 *   is in use.
 */
export async function openStreamFile(
  name: string,
  force: boolean,
): Promise<StreamFile> {
  const found = findFile(name);
  if (found !== undefined && found.size > 0 && !force) throw mayHoldData(name);
  if (found?.isFile === false) {
    throw new VirstorError(
      "unsupported",
      `Cannot copy standard input to "${name}": it is no file; copy a file, ` +
        "whose size is known",
    );
  }
  // Refuses a file that another process uses. The lock ends when the file is
  // open for writing, which makes labels and servers refuse it.
  await using _locked = found === undefined
    ? undefined
    : new FileDevice(name, { lock: "exclusive" });
  const options = { create: true, truncate: true, write: true };
  const file = Deno.openSync(name, options);
  return {
    file,
    undo: () => found === undefined && removed(name),
    [Symbol.dispose]: () => file.close(),
  };
}

function findFile(name: string): Deno.FileInfo | undefined {
  try {
    return Deno.statSync(name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** Opens a file or a block device that holds an older state of the source. */
async function openToUpdate(
  name: string,
  size: number,
  found: Deno.FileInfo | undefined,
  { size: sizeThen = found?.size }: Changes,
): Promise<CopyEnd> {
  if (found === undefined) {
    throw new VirstorError(
      "not-found",
      `Cannot update "${name}": it does not exist; copy all of the disk first`,
    );
  }
  if (found.isFile && found.size !== sizeThen && found.size !== size) {
    throw new VirstorError(
      "invalid",
      `Cannot update "${name}": it has ${inBytes(found.size)}, and the disk ` +
        `had ${inBytes(sizeThen ?? 0)} then; it is no copy of that snapshot`,
    );
  }
  const before = new FileDevice(name, { lock: "exclusive" });
  if (!found.isFile || before.size === size) return endOf(before);
  return endOf(await withSize(before, size));
}

/** Opens a volume to write to it. */
async function openVolume(
  word: PoolWord,
  pools: CopyPools,
  options: EndOptions,
): Promise<CopyEnd> {
  const end = await pools.end(word);
  const isEmpty = end.status.referencedBytes === 0;
  if (!isEmpty && !options.force) {
    throw mayHoldData(nameOf(word.pool, word.volume));
  }
  return await poolEnd(end, options, false);
}

async function poolEnd(
  { uri, device, changedSince }: PoolEnd,
  options: EndOptions,
  readOnly: boolean,
): Promise<CopyEnd> {
  const changes = (snapshot: string) => changedSince(snapshot, ASK_MS);
  if (device === undefined) {
    return {
      ...await openRemote(uri, options, readOnly),
      changedSince: changes,
    };
  }
  // The pool closes its volumes.
  return { ...endOf(device, { closes: false }), changedSince: changes };
}

async function openRemote(
  uri: string,
  { connections, stallTimeoutMs, isWithFile }: EndOptions,
  readOnly: boolean,
): Promise<CopyEnd> {
  // Then the data takes connections of its own.
  const isSpare = isWithFile && canCarry(parseNbdUri(uri));
  const device = await NbdDisk.connect(uri, {
    readOnly,
    stallTimeoutMs,
    endsWithExport: true,
    ...isSpare && { connections: 1 },
    ...connections !== undefined && { connections },
  });
  return {
    ...endOf(device),
    changedSince: async (snapshot) => ({
      ranges: await changedSince(uri, snapshot, ASK_MS),
      size: undefined,
    }),
  };
}

function mayHoldData(name: string): VirstorError {
  return new VirstorError(
    "exists",
    `Cannot copy to "${name}": it may hold data, -f overwrites it`,
  );
}

/** What is particular to an end. */
interface EndTraits {
  readonly isZero?: boolean;
  readonly undo?: () => boolean;
  readonly closes?: boolean;
}

function endOf(
  device: BlockDevice,
  { isZero = false, undo = () => false, closes = true }: EndTraits = {},
): CopyEnd {
  return {
    device,
    isZero,
    undo,
    changedSince: () =>
      Promise.reject(
        new UsageError(
          "--since needs a volume or a snapshot of a pool, or its export",
          'Try "virstor copy --help"',
        ),
      ),
    [Symbol.asyncDispose]: async () => {
      if (closes) await device.close();
    },
  };
}
