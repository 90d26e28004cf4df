/**
 * Making directories and files that may exist already.
 *
 * @module
 */
import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** Makes a directory and those above it, unless they exist. */
export async function ensureDir(dir: string | URL): Promise<void> {
  try {
    await Deno.mkdir(dir, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    throw notOfKind(dir, "dir", await Deno.stat(dir), error);
  }
}

/** Makes an empty file and the directories above it, unless it exists. */
export async function ensureFile(filePath: string | URL): Promise<void> {
  const path = pathOf(filePath);
  await mkdir(dirname(path), { recursive: true });
  try {
    const file = await Deno.open(path, { createNew: true, write: true });
    file.close();
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    const found = await Deno.stat(path);
    if (!found.isFile) throw notOfKind(path, "file", found, error);
  }
}

/** Makes a directory, or removes all that is in it. */
export async function emptyDir(dir: string | URL): Promise<void> {
  await ensureDir(dir);
  const path = pathOf(dir);
  for await (const entry of Deno.readDir(path)) {
    await Deno.remove(join(path, entry.name), { recursive: true });
  }
}

/** A path, also of a `file:` address. */
export function pathOf(path: string | URL): string {
  return path instanceof URL ? fileURLToPath(path) : path;
}

function notOfKind(
  path: string | URL,
  wanted: string,
  found: Deno.FileInfo,
  cause: unknown,
): Error {
  const kind = found.isFile ? "file" : found.isDirectory ? "dir" : "other";
  return new Error(
    `Failed to ensure ${wanted} exists: expected '${wanted}', got '${kind}' at "${
      pathOf(path)
    }"`,
    { cause },
  );
}
