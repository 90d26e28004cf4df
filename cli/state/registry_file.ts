/**
 * Reads and writes the files of the registry: durably, and one process at a
 * time.
 *
 * @module
 */

import { parentPath } from "./paths.ts";

/** How long to wait for the lock of another process, milliseconds. */
const PATIENCE_MS = 2000;
/** The pause between two attempts to lock, milliseconds. */
const PAUSE_MS = 20;

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
  const temporary = `${path}.${Deno.pid}.new`;
  try {
    const file = await Deno.open(temporary, {
      write: true,
      create: true,
      truncate: true,
    });
    try {
      const bytes = new TextEncoder().encode(text);
      for (let done = 0; done < bytes.length;) {
        done += await file.write(bytes.subarray(done));
      }
      await file.sync();
    } finally {
      file.close();
    }
    await Deno.rename(temporary, path);
  } catch (error) {
    await Deno.remove(temporary).catch(() => {});
    throw error;
  }
  await syncDirectory(parentPath(path));
}

/**
 * Runs a function while the directory is locked against other processes. If the
 * lock is not free within two seconds, it runs without the lock: the registry
 * is only a hint.
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
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  } catch {
    // Some file systems have no locks.
  }
  file?.close();
  return undefined;
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
