/**
 * The files of the registry: written durably, and changed by one process at a
 * time.
 *
 * @module
 */

import { dirname } from "node:path";

/** How long another process may hold the registry up, milliseconds. */
const PATIENCE_MS = 2000;
/** How often the lock is tried, milliseconds. */
const PAUSE_MS = 20;

/**
 * Makes a directory and those above it, durably.
 *
 * @param path Where.
 */
export async function makeDirectory(path: string): Promise<void> {
  if (await isThere(path)) return;
  const parent = dirname(path);
  if (parent !== path) await makeDirectory(parent);
  await Deno.mkdir(path, { recursive: true });
  await syncDirectory(parent);
}

/**
 * Replaces a file, durably and in one step.
 *
 * @param path Where; its directory is there.
 * @param text What it is to hold.
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
  await syncDirectory(dirname(path));
}

/**
 * Changes files of a directory while no other process does. A lock that cannot
 * be had is done without, after a moment: the registry is a hint only.
 *
 * @param directory The directory.
 * @param change What to do.
 * @returns What it returns.
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
    // Not every file system has locks.
  }
  file?.close();
  return undefined;
}

/** Not every file system makes directories durable on request. */
async function syncDirectory(path: string): Promise<void> {
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
    // The making of it says in better words what is wrong.
    return false;
  }
}
