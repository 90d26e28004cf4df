/**
 * Reads and writes the files of the registry: durably, and one process at a
 * time. Small files there are held, locked, by the process that uses them: the
 * lock ends with the process, so a file that no process holds was left behind.
 *
 * @module
 */

import { VirstorError } from "../../errors.ts";
import { parentPath } from "./paths.ts";

/** The ending of a file that does not have its own name yet. */
const TEMPORARY = ".new";
/** The ending of a file that a process holds to claim the name of a pool. */
export const CLAIM = ".claim";

/** How long to wait for the lock of another command, milliseconds. */
const PATIENCE_MS = 2000;
/** The pause between two attempts to lock, milliseconds. */
const PAUSE_MS = 20;

/** How many temporary files this process has made. */
let temporaries = 0;

/**
 * Creates a directory and those above it, durably.
 *
 * @param path The directory's path.
 */
export async function makeDirectory(path: string): Promise<void> {
  if (await isThere(path)) return;
  const parent = parentPath(path);
  if (parent !== path) await makeDirectory(parent);
  await Deno.mkdir(path, { recursive: true });
  await syncDirectory(parent);
}

/**
 * Replaces a file, durably and atomically.
 *
 * @param path The file's path; its directory exists.
 * @param text The new content.
 */
export async function replaceFile(path: string, text: string): Promise<void> {
  const [temporary, file] = openTemporary(path);
  try {
    const bytes = new TextEncoder().encode(text);
    for (let done = 0; done < bytes.length;) {
      done += await file.write(bytes.subarray(done));
    }
    await file.sync();
    // Held until it has its name: nothing else takes it for a leftover.
    await Deno.rename(temporary, path);
  } catch (error) {
    await Deno.remove(temporary).catch(() => {});
    throw error;
  } finally {
    file.close();
  }
  await syncDirectory(parentPath(path));
}

/** Makes a file with a name that no other has, and holds it. */
function openTemporary(path: string): readonly [string, Deno.FsFile] {
  for (;;) {
    const temporary = `${path}.${Deno.pid}-${temporaries++}${TEMPORARY}`;
    const file = openHeld(temporary);
    if (file === undefined) continue;
    // A process of the same number, killed or in another container, left it.
    file.truncateSync(0);
    return [temporary, file];
  }
}

/**
 * Runs a function while the directory is locked against other processes. If the
 * lock is not free within two seconds, it runs without the lock: the registry
 * is only a hint. Under the lock it first removes what killed processes left.
 *
 * @param directory The directory.
 * @param change The function.
 * @returns The result of `change`.
 */
export async function whileLocked<T>(
  directory: string,
  change: () => Promise<T>,
): Promise<T> {
  const lock = await lockDirectory(directory);
  try {
    if (lock !== undefined) removeLeftovers(directory);
    return await change();
  } finally {
    lock?.close();
  }
}

async function lockDirectory(path: string): Promise<Deno.FsFile | undefined> {
  let file: Deno.FsFile | undefined;
  try {
    file = await Deno.open(path, { read: true });
    for (let waited = 0; waited < PATIENCE_MS; waited += PAUSE_MS) {
      if (file.tryLockSync(true)) return file;
      await pauseToLock();
    }
  } catch {
    // Some file systems have no locks.
  }
  file?.close();
  return undefined;
}

/** Removes temporary files and claims whose processes are gone. */
function removeLeftovers(directory: string): void {
  try {
    for (const { name, isFile } of Deno.readDirSync(directory)) {
      const isPassing = name.endsWith(TEMPORARY) || name.endsWith(CLAIM);
      if (isFile && isPassing) removeUnheld(`${directory}/${name}`);
    }
  } catch {
    // Reading the directory for its entries reports the error.
  }
}

/**
 * Makes a directory durable, where its file system supports that.
 *
 * @param path The directory.
 */
export async function syncDirectory(path: string): Promise<void> {
  let directory: Deno.FsFile | undefined;
  try {
    directory = await Deno.open(path, { read: true });
    await directory.sync();
  } catch (error) {
    const isRefused = error instanceof Error && "code" in error &&
      ["EINVAL", "EACCES", "ENOTSUP"].includes(String(error.code));
    const isHidden = error instanceof Deno.errors.PermissionDenied;
    if (!isRefused && !isHidden) throw error;
  } finally {
    directory?.close();
  }
}

async function isThere(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch {
    // Creating the directory reports the error.
    return false;
  }
}

/**
 * Opens a file and locks it. Creates the file if there is none.
 *
 * *Ensures*: the locked file is the one at the path: not one that its former
 * holder, or {@linkcode removeUnheld}, has removed meanwhile. Where the file
 * system has no locks, the file is open and not locked.
 *
 * @param path The file's path; its directory exists.
 * @returns The open file; `undefined` if another holder has it.
 * @throws {Error} If the file cannot be opened.
 */
export function openHeld(path: string): Deno.FsFile | undefined {
  const options = { read: true, write: true, create: true };
  for (;;) {
    const file = Deno.openSync(path, options);
    const state = lockState(file, path);
    if (state === "held" || state === "no locks") return file;
    file.close();
    if (state === "busy") return undefined;
  }
}

/**
 * Waits until it holds a file, for two seconds at most.
 *
 * @param path The file's path.
 * @param busy The message of the error if another holder keeps the file.
 * @returns The file; `undefined` if it cannot be made, as in a directory that
 *   is read-only.
 * @throws {VirstorError} `busy`.
 */
export async function waitForHeld(
  path: string,
  busy: string,
): Promise<Deno.FsFile | undefined> {
  for (let waited = 0; waited <= PATIENCE_MS; waited += PAUSE_MS) {
    try {
      const file = openHeld(path);
      if (file !== undefined) return file;
    } catch {
      return undefined;
    }
    await pauseToLock();
  }
  throw new VirstorError("busy", busy);
}

/** Waits before another attempt to lock. */
async function pauseToLock(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
}

/**
 * Removes a file and releases it.
 *
 * @param path The file's path.
 * @param file The held file.
 */
export function removeHeld(path: string, file: Deno.FsFile): void {
  try {
    Deno.removeSync(path);
  } catch {
    // The next holder finds it, and no lock on it.
  } finally {
    file.close();
  }
}

/**
 * Removes a file that no process holds: its process was killed.
 *
 * @param path The file's path.
 */
function removeUnheld(path: string): void {
  try {
    using file = Deno.openSync(path, { read: true, write: true });
    if (lockState(file, path) === "held") Deno.removeSync(path);
  } catch {
    // It is gone, or another user's.
  }
}

function lockState(
  file: Deno.FsFile,
  path: string,
): "held" | "busy" | "removed" | "no locks" {
  try {
    if (!file.tryLockSync(true)) return "busy";
  } catch {
    return "no locks";
  }
  const { dev, ino, nlink } = file.statSync();
  if (nlink === 0) return "removed";
  try {
    const there = Deno.statSync(path);
    return there.dev === dev && there.ino === ino ? "held" : "removed";
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "removed";
    throw error;
  }
}
