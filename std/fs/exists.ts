/**
 * Whether a path exists.
 *
 * @module
 */
import { access, constants } from "node:fs/promises";

/** What more is asked of the path. */
export interface ExistsOptions {
  /** It must also be readable. */
  isReadable?: boolean;
  /** It must be a directory, or a link to one. */
  isDirectory?: boolean;
  /** It must be a file, or a link to one. */
  isFile?: boolean;
}

/** Whether a path exists, and is what `options` ask for. */
export async function exists(
  path: string | URL,
  options: ExistsOptions = {},
): Promise<boolean> {
  const { isReadable, isDirectory, isFile } = options;
  if (isDirectory && isFile) {
    throw new TypeError(
      "ExistsOptions.options.isDirectory and ExistsOptions.options.isFile must not be true together",
    );
  }
  try {
    const found = await Deno.stat(path);
    if (isDirectory && !found.isDirectory) return false;
    if (isFile && !found.isFile) return false;
    if (!isReadable) return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    // It may be there: without permission to look, its absence is unknown.
    if (error instanceof Deno.errors.PermissionDenied) return !isReadable;
    throw error;
  }
  return await access(path, constants.R_OK).then(() => true, () => false);
}
